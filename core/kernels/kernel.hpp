// A kernel is a shader module with its specialization constants; pipelines of one device are kept here.
#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "vulkan/device.hpp"
#include "vulkan/pipeline.hpp"

namespace pumice {

/// SPIR-V words of a module built into the library, or empty when there is none of that name.
std::span<const std::uint32_t> embedded_shader(std::string_view module);
/// Names of all modules built in, sorted.
std::vector<std::string_view> embedded_shader_names();

struct KernelKey {
    std::string module;                         ///< "matmul.f16.fast"
    std::vector<std::uint32_t> specialization;  ///< constant_id i takes element i
    std::uint32_t bindings = 0;
    std::uint32_t push_bytes = 0;
    std::uint32_t required_subgroup_size = 0;   ///< 0: any
    friend auto operator<=>(const KernelKey&, const KernelKey&) = default;
};

/// Creates each pipeline once a device. Thread-safe.
class KernelCache {
public:
    explicit KernelCache(std::shared_ptr<Device>);
    ~KernelCache();
    KernelCache(const KernelCache&) = delete;
    KernelCache& operator=(const KernelCache&) = delete;

    Result<const Pipeline*> get(const KernelKey&);
    /// SPIR-V under a name that no other module has, from here on as if it were built in. A name that is there already
    /// stays what it is.
    void add_module(const std::string& name, std::vector<std::uint32_t> words);
    bool has_module(const std::string& name);
    /// Compiles the listed kernels on several threads; get() then only looks up.
    Status prepare(std::span<const KernelKey>);
    /// For developers: modules are compiled from `folder`/*.comp when first asked for, instead of the embedded ones.
    void set_source_folder(std::filesystem::path folder);

private:
    Result<Pipeline> create(const KernelKey&);
    std::shared_ptr<Device> device_;
    std::filesystem::path source_folder_;
    std::mutex mutex_;
    std::map<KernelKey, std::unique_ptr<Pipeline>> pipelines_;
    std::map<std::string, std::vector<std::uint32_t>> modules_;  ///< added; never removed
};

}  // namespace pumice
