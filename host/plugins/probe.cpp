#include "plugins/probe.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include <fmt/format.h>

#include "plugins/check.hpp"

extern char** environ;

namespace pumice::plugins {
namespace {

using Clock = std::chrono::steady_clock;

/// Where the program writes its verdict: what the plugin prints must not get in between.
constexpr int kReport = 3;
constexpr std::size_t kMostReport = 4u << 20;

class Actions {
public:
    Actions() { posix_spawn_file_actions_init(&actions_); }
    ~Actions() { posix_spawn_file_actions_destroy(&actions_); }
    Actions(const Actions&) = delete;
    posix_spawn_file_actions_t* get() { return &actions_; }

private:
    posix_spawn_file_actions_t actions_;
};

class Attributes {
public:
    Attributes() {
        posix_spawnattr_init(&attributes_);
        // A process group of its own, so that what the plugin starts is ended with it; and no signal blocked.
        sigset_t none;
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setpgroup(&attributes_, 0);
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    }
    ~Attributes() { posix_spawnattr_destroy(&attributes_); }
    Attributes(const Attributes&) = delete;
    posix_spawnattr_t* get() { return &attributes_; }

private:
    posix_spawnattr_t attributes_;
};

/// Reads to the end or the deadline; false at the deadline.
bool read_all(int from, std::string& text, Clock::time_point deadline) {
    while (text.size() < kMostReport) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) return false;
        pollfd wait{from, POLLIN, 0};
        const int ready = ::poll(&wait, 1, static_cast<int>(left));
        if (ready < 0 && errno != EINTR) return true;
        if (ready <= 0) continue;
        std::array<char, 65536> buffer;
        const ssize_t got = ::read(from, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return true;
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    return true;
}

/// Waits for the child's end; false at the deadline.
bool wait_for(pid_t child, int& status, Clock::time_point deadline) {
    for (;;) {
        const pid_t ended = ::waitpid(child, &status, WNOHANG);
        if (ended == child || (ended < 0 && errno != EINTR)) return true;
        if (Clock::now() >= deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
}

Verdict verdict_of(const std::string& report, int status) {
    if (WIFSIGNALED(status)) {
        const char* name = ::strsignal(WTERMSIG(status));
        return {{}, fmt::format("it crashed when it was tried out ({})", name ? name : "a signal")};
    }
    const auto json = nlohmann::json::parse(report, nullptr, false);
    if (!json.is_object())
        return {{}, fmt::format("it ended the program when it was tried out (exit status {})", WEXITSTATUS(status))};
    Verdict verdict;
    verdict.reason = json.value("reason", "");
    if (!verdict.reason.empty()) return verdict;
    for (const auto& each : json.value("plugins", nlohmann::json::array())) {
        auto description = description_from_json(each);
        if (!description) return {{}, description.error().message};
        verdict.plugins.push_back(*std::move(description));
    }
    // The verdict comes before deinit and the unloading, which must end well too.
    if (WEXITSTATUS(status) != 0 || verdict.plugins.empty())
        return {{}, fmt::format("it ended the program when it was unloaded (exit status {})", WEXITSTATUS(status))};
    return verdict;
}

}  // namespace

Result<Verdict> probe(const std::filesystem::path& program, const std::filesystem::path& library, double seconds) {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error{Code::io, "no pipe for the plugins' probe"};
    Actions actions;
    Attributes attributes;
    posix_spawn_file_actions_addopen(actions.get(), 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(actions.get(), 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(actions.get(), 2, "/dev/null", O_WRONLY, 0);
    // To a number above it first: the pipe's end may be kReport already, and dup2 to itself would keep O_CLOEXEC.
    const int high = ::fcntl(ends[1], F_DUPFD_CLOEXEC, kReport + 1);
    posix_spawn_file_actions_adddup2(actions.get(), high, kReport);
    std::string name = program.string(), file = library.string();
    std::array<char*, 3> arguments{name.data(), file.data(), nullptr};
    pid_t child = 0;
    const int error = ::posix_spawn(&child, name.c_str(), actions.get(), attributes.get(), arguments.data(), environ);
    ::close(ends[1]);
    if (high >= 0) ::close(high);
    if (error != 0) {
        ::close(ends[0]);
        return Error{Code::io, fmt::format("cannot run {}, which tries plugins out: {}", name, std::strerror(error))};
    }
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                             std::chrono::duration<double>(seconds));
    std::string report;
    int status = 0;
    const bool in_time = read_all(ends[0], report, deadline) && wait_for(child, status, deadline);
    if (!in_time) {
        ::kill(-child, SIGKILL);
        ::kill(child, SIGKILL);
        ::waitpid(child, &status, 0);
    } else {
        ::kill(-child, SIGKILL);  // whatever it left behind
    }
    ::close(ends[0]);
    if (!in_time) return Verdict{{}, fmt::format("it did not answer within {} s when it was tried out", seconds)};
    return verdict_of(report, status);
}

int probe_here(const std::filesystem::path& library, int descriptor) {
    nlohmann::ordered_json report;
    {
        auto opened = Library::open(library);
        auto plugins = opened ? examine(*opened) : Result<std::vector<Description>>(opened.error());
        if (plugins) {
            report["plugins"] = nlohmann::ordered_json::array();
            for (const Description& each : *plugins) report["plugins"].push_back(to_json(each));
        } else {
            report["reason"] = plugins.error().message;
        }
        const std::string text = report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        for (std::size_t at = 0; at < text.size();) {
            const ssize_t put = ::write(descriptor, text.data() + at, text.size() - at);
            if (put < 0 && errno != EINTR) return 1;
            if (put > 0) at += static_cast<std::size_t>(put);
        }
    }
    return 0;
}

}  // namespace pumice::plugins
