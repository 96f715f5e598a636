// What a device can do at most, by kernels that do nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.hpp"
#include "vulkan/device.hpp"

namespace pumice {

/// The best rates that simple kernels reach; 0: the device, or this build, has no such arithmetic.
struct Peaks {
    double f32_gflops = 0, f16_gflops = 0;
    double int8_gops = 0;         ///< packed 4x8-bit dot products, a multiplication and an addition counted each
    double matrix_gflops = 0;     ///< cooperative matrices of f16: no kernel of this version uses them yet
    double copy_gbps = 0;         ///< bytes read and bytes written, both counted
    double launch_seconds = 0;    ///< an empty submission, until the host knows that it has ended; the median
    double dispatch_seconds = 0;  ///< one more dispatch of a small kernel in a submission, behind a barrier
    std::uint64_t largest_buffer = 0;  ///< bytes: what the driver allows and has free
};

/// Takes some seconds. `clock`, in seconds, takes the place of the device's timestamps (and of the host's clock where there
/// are none).
Result<Peaks> measure_peaks(const std::shared_ptr<Device>&, const std::function<double()>& clock = {});

}  // namespace pumice
