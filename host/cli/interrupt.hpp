// Ctrl-C and SIGTERM; SIGUSR1 and SIGUSR2.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "pumice/pumice.hpp"

namespace pumice::cli {

/// From its making on, the first signal cancels what runs. If the program has not ended after a second (a driver may be
/// compiling, which nothing interrupts), or at a second signal, it is ended with exit code 130.
/// To be made once, before any other thread, by the main thread: they inherit its mask of signals.
class Interrupt {
public:
    Interrupt();
    const Cancel& cancel() const { return state_->cancel; }
    /// SIGUSR1 came: the picture that is made is ended early, and none is begun after it.
    bool finishing() const { return state_->finishing; }
    /// SIGUSR2 came since this was last asked: the picture that is made is left out.
    bool take_skip() { return state_->skipped.exchange(false); }
    /// While held, the program is not ended (a second signal ends it all the same): a file is being written.
    std::unique_lock<std::mutex> hold() { return std::unique_lock(state_->holding); }

private:
    struct State {
        Cancel cancel;
        std::mutex holding;
        std::atomic<bool> finishing{false}, skipped{false};
    };
    static void watch(std::shared_ptr<State>);
    std::shared_ptr<State> state_;
};

}  // namespace pumice::cli
