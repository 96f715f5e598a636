// What the host offers a plugin while it runs: pumice.tensor/1, pumice.progress/1, pumice.log/1, pumice.math/1.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"
#include "diffusion/tensor_math.hpp"
#include "plugins/marker.hpp"
#include "pumice/sdk/ext/tensor.h"
#include "pumice/sdk/host.h"
#include "pumice/sdk/status.h"

namespace pumice::plugins {

/// What a run of a plugin may use; what is not set is not offered.
struct Services {
    TensorMath* math = nullptr;
    std::function<Status(std::uint32_t done, std::uint32_t all)> step = {};
    std::function<Status()> check = {};
};

/// One host struct with the state behind it: of one instance of a plugin, on one thread at a time.
class Session {
public:
    /// `plugin` names it in the log. marker: may be null; both outlive this.
    Session(std::string plugin, Log log, Marker* marker);
    Session(const Session&) = delete;

    const pumice_host* host() const { return &host_; }
    Marker* marker() const { return marker_; }

    /// From here to end_run the services are offered; lent latents have handles until then.
    void begin_run(const Services& services);
    pumice_tensor lend(const Latent& latent);
    /// Releases what the plugin left. How many tensors that were.
    std::size_t end_run();

    /// The latent behind a handle, nullptr for what is none.
    const Latent* find(pumice_tensor handle) const;
    /// Remembers the first error of the host's own, which the plugin hands on as a status.
    pumice_sdk_status answer(const Status& status);

    /// A plugin's status as an error or none: the host's own error if that is where it came from.
    Status outcome(pumice_sdk_status status, const std::string& thrown, const std::string& doing);
    /// Whether the outcome's error was the host's own and no fault of the plugin's.
    bool failed_in_host() const { return host_fault_; }

private:
    static Session& of(const pumice_host* host) { return *static_cast<Session*>(host->data); }
    static const void* extension(const pumice_host*, const char* id);
    static const pumice_host_tensor_1& tensor_extension();
    /// Runs a service of the host's: outside of the marker, nothing thrown.
    template <class Work>
    pumice_sdk_status serve(Work&& work);
    TensorMath* math() const { return services_.math; }

    struct Place {
        std::optional<Latent> owned;
        const Latent* latent = nullptr;
    };

    pumice_host host_;
    std::string plugin_;
    Log log_;
    Marker* marker_;
    Services services_;
    std::vector<Place> tensors_;  ///< handle - 1
    std::string said_;
    std::optional<Error> failure_;
    bool host_fault_ = false;
};

}  // namespace pumice::plugins
