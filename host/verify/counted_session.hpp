// The host as plugins of pictures and control networks see it, whose calls are counted and can be made to fail.
#pragma once

#include "plugins/session.hpp"
#include "verify/counted_math.hpp"
#include "verify/suite.hpp"

namespace pumice::verify {

class CountedSession final : public plugins::Session {
public:
    /// Offers the subject's device, if it has one. `counter` outlives this.
    CountedSession(const Plugin&, Counter& counter);

    /// Session's, with each call that can fail counted.
    const pumice_host* counted_host() const { return &counted_; }
    Counter& counter() { return counter_; }
    static CountedSession& of(const pumice_host* host) {
        return static_cast<CountedSession&>(plugins::Session::of(host));
    }

private:
    Counter& counter_;
    pumice_host counted_;
};

}  // namespace pumice::verify
