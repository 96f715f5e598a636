#include <filesystem>

#include "engine/abi.hpp"
#include "engine/objects.hpp"
#include "engine/profile_json.hpp"

namespace pumice {

Result<std::shared_ptr<EngineState>> open_engine(const pumice_engine_options& options) {
    const Log log = abi::log_to(options.log, options.user);
    InstanceOptions instance_options;
    instance_options.validation = options.validation != 0;
    instance_options.on_validation_message = [log](const std::string& message) { log.write(LogLevel::error, message); };
    std::shared_ptr<plugins::Registry> registry;
    if (options.plugins) {
        registry = options.plugins->registry;
    } else {
        PUMICE_ASSIGN(registry, plugins::Registry::create(abi::builtin_plugins()));
    }
    PUMICE_ASSIGN(auto instance, Instance::create(instance_options));

    DeviceOptions device_options;
    device_options.wanted = abi::text_or_empty(options.device);
    device_options.cache_folder = abi::text_or_empty(options.cache_folder);
    device_options.log = log;
    PUMICE_ASSIGN(auto device, Device::create(std::move(instance), device_options));

    auto kernels = std::make_shared<KernelCache>(device);
    if (options.shader_folder && *options.shader_folder) kernels->set_source_folder(options.shader_folder);
    DeviceDescription description(device->caps());
    return std::shared_ptr<EngineState>(
        new EngineState{std::move(device), std::move(kernels), std::move(description), std::move(registry),
                         log, {}, options.profile != 0, {}, {}});
}

}  // namespace pumice

extern "C" {

pumice_status pumice_engine_create(const pumice_engine_options* options, pumice_engine** engine, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!engine) return pumice::Error{pumice::Code::invalid_argument, "engine is NULL"};
        *engine = nullptr;
        pumice_engine_options values = PUMICE_ENGINE_OPTIONS_INIT;
        if (options) {
            PUMICE_ASSIGN(values, pumice::abi::read_struct(options, "options"));
        }
        PUMICE_ASSIGN(auto state, pumice::open_engine(values));
        *engine = new pumice_engine{std::move(state)};
        return {};
    });
}

void pumice_engine_destroy(pumice_engine* engine) {
    delete engine;
}

pumice_status pumice_engine_device(const pumice_engine* engine, pumice_device_info* info, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!engine) return pumice::Error{pumice::Code::invalid_argument, "engine is NULL"};
        return pumice::abi::write_struct(engine->state->description.info(), info, "info");
    });
}

pumice_status pumice_engine_peaks(pumice_engine* engine, char** json, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!json) return pumice::Error{pumice::Code::invalid_argument, "json is NULL"};
        *json = nullptr;
        if (!engine) return pumice::Error{pumice::Code::invalid_argument, "engine is NULL"};
        const std::lock_guard lock(engine->state->running);
        PUMICE_ASSIGN(const pumice::Peaks peaks, pumice::measure_peaks(engine->state->device));
        *json = pumice::abi::text_to_caller(pumice::to_json(peaks).dump());
        return {};
    });
}

}  // extern "C"
