// What the host offers a plugin while it runs: pumice.tensor/1, pumice.progress/1, pumice.log/1, pumice.math/1,
// pumice.image/1, and with a device pumice.weights/1, pumice.graph/1 and pumice.kernel/1.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"
#include "diffusion/tensor_math.hpp"
#include "plugins/device_session.hpp"
#include "plugins/marker.hpp"
#include "plugins/picture.hpp"
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

    /// Before the instance is created: the device that pumice.graph/1, weights and kernel work on.
    void offer(DeviceServices services);
    /// nullptr unless one is offered.
    DeviceSession* device() { return device_.get(); }
    const Log& log() const { return log_; }
    const std::string& plugin() const { return plugin_; }

    /// From here to end_run the services are offered; lent latents have handles until then.
    void begin_run(const Services& services);
    pumice_tensor lend(const Latent& latent);
    /// Until end_run. A picture that is only to be read is not written by the host either.
    pumice_picture lend(Picture& picture);
    /// Releases what the plugin left. How many tensors that were.
    std::size_t end_run();
    /// What the plugin made and has not released: pictures, and programs and files of weights on the device.
    std::size_t held() const;

    /// The latent behind a handle, nullptr for what is none.
    const Latent* find(pumice_tensor handle) const;
    /// The picture behind a handle, nullptr for what is none.
    Picture* find_picture(pumice_picture handle);
    /// PUMICE_SDK_CANCELLED's error, or none.
    Status check() const { return services_.check ? services_.check() : Status{}; }
    /// Remembers the first error of the host's own, which the plugin hands on as a status.
    pumice_sdk_status answer(const Status& status);

    /// The error of an instance that could not be made, with what the plugin or the host said of it.
    Error init_error(Error error) const;
    /// A plugin's status as an error or none: the host's own error if that is where it came from.
    Status outcome(pumice_sdk_status status, const std::string& thrown, const std::string& doing);
    /// Whether the outcome's error was the host's own and no fault of the plugin's.
    bool failed_in_host() const { return host_fault_; }

    static Session& of(const pumice_host* host) { return *static_cast<Session*>(host->data); }
    /// Runs a service of the host's (() -> Status): outside of the marker, nothing thrown.
    template <class Work>
    pumice_sdk_status serve(Work&& work) {
        const Marked outside(marker_, false);
        try {
            return answer(work());
        } catch (const std::bad_alloc&) {
            return answer(Error{Code::out_of_host_memory, "out of memory on the host"});
        } catch (const std::exception& e) {
            return answer(Error{Code::internal, e.what()});
        }
    }

private:
    static const void* extension(const pumice_host*, const char* id);
    static const pumice_host_tensor_1& tensor_extension();
    static const pumice_host_image_1& image_extension();
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
    struct PicturePlace {
        std::unique_ptr<Picture> owned;
        Picture* picture = nullptr;
    };
    std::vector<PicturePlace> pictures_;  ///< handle - 1
    std::unique_ptr<DeviceSession> device_;
    std::string said_;
    std::optional<Error> failure_, last_failure_;  ///< of the host, in this run: the first and the last
    bool host_fault_ = false;
};

}  // namespace pumice::plugins
