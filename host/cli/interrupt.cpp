#include "cli/interrupt.hpp"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <thread>

#include "cli/exit_codes.hpp"

namespace pumice::cli {
namespace {

sigset_t ending_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

sigset_t watched_signals() {
    sigset_t set = ending_signals();
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    return set;
}

[[noreturn]] void end_now() {
    constexpr std::string_view kLine = "\npumice: cancelled\n";
    if (::write(STDERR_FILENO, kLine.data(), kLine.size()) < 0) {
    }  // nobody listens any more
    ::_exit(kExitCancelled);
}

}  // namespace

Interrupt::Interrupt() : state_(std::make_shared<State>()) {
    const sigset_t set = watched_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::thread(watch, state_).detach();
}

void Interrupt::watch(std::shared_ptr<State> state) {
    const sigset_t watched = watched_signals(), set = ending_signals();
    for (int number = 0; number == 0 || number == SIGUSR1 || number == SIGUSR2;) {
        if (sigwait(&watched, &number) != 0) number = 0;
        if (number == SIGUSR1) {
            state->finishing = true;
            state->cancel.finish();
        } else if (number == SIGUSR2) {
            state->skipped = true;
            state->cancel.skip();
        }
    }
    state->cancel.set();
    const timespec patience{1, 0};
    if (sigtimedwait(&set, nullptr, &patience) > 0) end_now();
    // While the lock is awaited a second signal still ends the program.
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    state->holding.lock();
    end_now();
}

}  // namespace pumice::cli
