// What is behind the opaque types of pumice.h.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/adapters.hpp"
#include "engine/device_description.hpp"
#include "engine/model_defaults.hpp"
#include "kernels/kernel.hpp"
#include "models/model.hpp"
#include "pipelines/text_to_image.hpp"
#include "plugins/picture.hpp"
#include "plugins/registry.hpp"
#include "pumice/pumice.h"
#include "vulkan/device.hpp"

namespace pumice {

/// Shared by the engine's handle and its models, so that they can go in any order.
struct EngineState {
    std::shared_ptr<Device> device;
    std::shared_ptr<KernelCache> kernels;
    DeviceDescription description;
    std::shared_ptr<plugins::Registry> plugins;
    Log log;
    std::mutex running;  ///< held while a request runs
    bool profile = false;
    std::mutex models_mutex;
    std::vector<Model*> models = {};  ///< that are open; a model's weights leave the device when another's need the room
    /// All weights but those of `stays` leave the device.
    void leave_all_but(const Model* stays) {
        const std::lock_guard lock(models_mutex);
        for (Model* each : models)
            if (each != stays) each->release_weights();
    }
};

/// What a caller asks for, as far as the device can: Code::missing_feature, Code::invalid_argument.
Result<Precision> choose_precision(pumice_precision wanted, const Capabilities&);

/// Opens the device; the errors of pumice_engine_create.
Result<std::shared_ptr<EngineState>> open_engine(const pumice_engine_options&);

}  // namespace pumice

struct pumice_plugins {
    std::shared_ptr<pumice::plugins::Registry> registry;
    std::string json;
};

struct pumice_engine {
    std::shared_ptr<pumice::EngineState> state;
};

struct pumice_model {
    std::shared_ptr<pumice::EngineState> engine;
    std::unique_ptr<pumice::Model> model;
    pumice::ModelDefaults defaults;
    pumice::AdapterShelf adapters;
    double open_seconds = 0;
    ~pumice_model() {
        if (!engine) return;
        const std::lock_guard lock(engine->models_mutex);
        std::erase(engine->models, model.get());
    }
};

struct pumice_made_bitmap {
    pumice::plugins::Picture picture;
    std::string report;
};

struct pumice_cancel {
    mutable std::atomic<bool> set{false};  ///< what requests look at
    std::atomic<bool> for_good{false};     ///< it stays set
    mutable std::atomic<bool> once{false};  ///< it is set for one request
    std::atomic<bool> finish{false};
    /// A request has ended: one that was to be skipped is.
    void request_ended() const {
        if (!once.exchange(false)) return;
        set = false;
        if (for_good) set = true;
    }
    static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may set it");
};

struct pumice_images {
    std::vector<pumice::Image> all;
    std::uint64_t seed = 0;
    bool one_seed = false;  ///< of all pictures, not of the first
    std::string report, profile = "{}";
};
