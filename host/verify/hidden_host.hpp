// A host that does not have one of its extensions.
#pragma once

#include <cstring>

#include "pumice/sdk/host.h"

namespace pumice::verify {

class HiddenHost {
public:
    /// As `real`, which outlives it, without the extension `id`; "": without any. `id` is a constant.
    HiddenHost(const pumice_host* real, const char* id) : state_{*real, real, id} {
        state_.host.get_extension = [](const pumice_host* host, const char* wanted) -> const void* {
            // The struct is the first member: its address is the state's.
            const auto& self = *reinterpret_cast<const State*>(host);
            if (!wanted || !*self.id || std::strcmp(self.id, wanted) == 0) return nullptr;
            return self.real->get_extension(self.real, wanted);
        };
    }
    HiddenHost(const HiddenHost&) = delete;
    const pumice_host* host() const { return &state_.host; }

private:
    struct State {
        pumice_host host;
        const pumice_host* real;
        const char* id;
    };
    State state_;
};

}  // namespace pumice::verify
