#include <algorithm>
#include <memory>
#include <vector>

#include "engine/abi.hpp"
#include "engine/device_description.hpp"
#include "engine/device_json.hpp"
#include "vulkan/instance.hpp"

namespace pumice {
namespace {

std::string driver_text(const Capabilities& caps) {
    if (caps.driver_info.empty()) return caps.driver_name;
    return fmt::format("{} ({})", caps.driver_name, caps.driver_info);
}

}  // namespace

DeviceDescription::DeviceDescription(const Capabilities& caps)
    : name_(caps.name),
      driver_(driver_text(caps)),
      uuid_(uuid_string(caps.uuid)),
      missing_(missing_requirement(caps)),
      record_(to_json(caps).dump()),
      type_(to_string(caps.type)) {
    for (const MemoryHeap& heap : caps.heaps)
        if (heap.device_local) memory_ = std::max(memory_, heap.size);
}

pumice_device_info DeviceDescription::info() const {
    return {sizeof(pumice_device_info), name_.c_str(),  type_, driver_.c_str(), uuid_.c_str(), memory_,
            missing_.c_str(),           record_.c_str()};
}

}  // namespace pumice

struct pumice_devices {
    std::vector<pumice::DeviceDescription> all;
};

extern "C" {

pumice_status pumice_devices_create(pumice_devices** devices, pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (!devices) return pumice::Error{pumice::Code::invalid_argument, "devices is NULL"};
        *devices = nullptr;
        PUMICE_ASSIGN(const auto instance, pumice::Instance::create());
        auto list = std::make_unique<pumice_devices>();
        for (const pumice::Capabilities& caps : instance->devices()) list->all.emplace_back(caps);
        *devices = list.release();
        return {};
    });
}

void pumice_devices_destroy(pumice_devices* devices) {
    delete devices;
}

size_t pumice_devices_count(const pumice_devices* devices) {
    return devices ? devices->all.size() : 0;
}

pumice_status pumice_devices_get(const pumice_devices* devices, size_t index, pumice_device_info* info,
                                 pumice_error* error) {
    return pumice::abi::guard(error, [&]() -> pumice::Status {
        if (index >= pumice_devices_count(devices))
            return pumice::Error{pumice::Code::invalid_argument, fmt::format("there is no device {}: the list has {}",
                                                                             index, pumice_devices_count(devices))};
        return pumice::abi::write_struct(devices->all[index].info(), info, "info");
    });
}

}  // extern "C"
