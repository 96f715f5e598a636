// The device that all device tests share. Which driver it comes from is the environment's business (VK_DRIVER_FILES,
// set by ctest: drivers.cmake); PUMICE_TEST_DEVICE chooses among several devices of one driver; with
// PUMICE_TEST_GPU_ASSISTED set, shaders are instrumented too (slow): reads and writes outside a binding are messages.
#pragma once

#include <memory>

#include "kernels/kernel.hpp"
#include "vulkan/device.hpp"
#include "vulkan/instance.hpp"

namespace pumice::test {

struct Gpu {
    std::shared_ptr<Instance> instance;
    std::shared_ptr<Device> device;
    KernelCache kernels;
};

/// Made at the first call, with the validation layer (core and synchronization checks) when it is installed. Any
/// message of it, in any test, makes the whole program fail. Throws, which fails the test, when there is no device.
Gpu& gpu();

/// Another Device of the same instance, for tests that change limits, lose the device or look at statistics.
std::shared_ptr<Device> fresh_device(DeviceOptions options = {});

}  // namespace pumice::test
