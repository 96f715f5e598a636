// Hosts that are older or newer than this one: one of the extensions is not there, or the structs are longer.
#pragma once

#include <cstdint>
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

/// A struct of a newer host: longer, and with something behind what is known.
template <class T>
class Longer {
public:
    /// `future` false: as it is.
    Longer(const T& known, bool future) : all_{known, {}} {
        std::memset(all_.more, 0xA5, sizeof(all_.more));
        all_.known.struct_size = static_cast<std::uint32_t>(future ? sizeof(all_) : sizeof(T));
    }
    const T* get() const { return &all_.known; }

private:
    struct {
        T known;
        unsigned char more[64];
    } all_;
};

}  // namespace pumice::verify
