// A checkpoint opened for use on a device: text encoder, UNet and VAE, each brought to the device when needed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/precision.hpp"
#include "base/result.hpp"
#include "kernels/kernel.hpp"
#include "vulkan/device.hpp"

namespace pumice {

struct ModelOptions {
    Precision precision = Precision::fp16;
    std::uint64_t memory_limit = 0;  ///< bytes for weights and activations together; 0: what the device reports as free
};

/// fp16 where the device has 16-bit storage, else fp32.
Precision default_precision(const Capabilities&);

class Model {
public:
    struct Impl;
    /// Opens and checks a single-file SD 1.x checkpoint; weights go to the device at first use. Errors name the file
    /// and, for a missing or misshapen tensor, the tensor.
    static Result<std::unique_ptr<Model>> load(std::shared_ptr<Device>, std::shared_ptr<KernelCache>,
                                               const std::filesystem::path& file, const ModelOptions&);
    ~Model();
    Impl& impl() { return *impl_; }

private:
    explicit Model(std::unique_ptr<Impl>);
    std::unique_ptr<Impl> impl_;
};

}  // namespace pumice
