#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cfenv>
#include <clocale>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "verify/suite.hpp"

namespace pumice::verify {
namespace fs = std::filesystem;
namespace {

std::size_t entries(const char* folder) {
    std::error_code error;
    std::size_t count = 0;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) ++count;
    return count;
}

void (*handler_of(int signal))(int) {
    struct sigaction action {};
    return ::sigaction(signal, nullptr, &action) == 0 ? action.sa_handler : SIG_DFL;
}

/// Whether numbers below the smallest normal one are numbers. A library linked with -ffast-math ends that for its host.
bool keeps_small_numbers() {
    volatile double small = 2.2250738585072014e-308;
    volatile double half = small * 0.5;
    return half > 0;
}

}  // namespace

ProcessState::ProcessState()
    : locale_(std::setlocale(LC_ALL, nullptr)), threads_(entries("/proc/self/task")), files_(entries("/proc/self/fd")) {
    for (int signal = 1; signal < NSIG; ++signal) handlers_.push_back(handler_of(signal));
    std::error_code error;
    folder_ = fs::current_path(error).string();
}

Why ProcessState::changed() const {
    for (int signal = 1; signal < NSIG; ++signal)
        if (handler_of(signal) != handlers_[static_cast<std::size_t>(signal) - 1])
            return fmt::format("it handles signal {}, which is the host's to do", signal);
    if (locale_ != std::setlocale(LC_ALL, nullptr))
        return fmt::format("it changed the locale to {}", std::setlocale(LC_ALL, nullptr));
    if (!keeps_small_numbers() || std::fegetround() != FE_TONEAREST)
        return "it changed how this process rounds; do not link with -ffast-math";
    std::error_code error;
    if (fs::current_path(error).string() != folder_) return "it changed the working directory";
    if (const auto now = entries("/proc/self/task"); now > threads_)
        return fmt::format("{} threads of it still run after deinit", now - threads_);
    if (const auto now = entries("/proc/self/fd"); now > files_)
        return fmt::format("it left {} files open", now - files_);
    return "";
}

void ProcessState::expect_driver() {
    const ProcessState now;
    handlers_ = now.handlers_;
    threads_ = files_ = std::numeric_limits<std::size_t>::max();
}

}  // namespace pumice::verify
