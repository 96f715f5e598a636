// What a device offers: the only source from which the legality of a kernel variant follows.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <vulkan/vulkan.h>

namespace pumice {

enum class DeviceType : std::uint8_t { discrete, integrated, virtual_gpu, cpu, other };

struct CooperativeMatrixShape {
    std::uint32_t m, n, k;
    std::string a, b, c, result;  ///< component types: "f16", "f32", "bf16", "s8", …
    bool saturating = false;
    bool subgroup_scope = true;
};

struct MemoryHeap {
    std::uint64_t size = 0;    ///< bytes
    std::uint64_t budget = 0;  ///< bytes this process may use (VK_EXT_memory_budget), or size
    std::uint64_t usage = 0;   ///< bytes this process uses now (VK_EXT_memory_budget), or 0
    bool device_local = false;
};

struct MemoryType {
    std::uint32_t heap = 0;
    bool device_local = false, host_visible = false, host_coherent = false, host_cached = false;
    bool special = false;  ///< lazily allocated, protected or a vendor's kind: no buffer of ours goes there
};

struct PciAddress {
    std::uint32_t domain = 0, bus = 0, device = 0, function = 0;
    friend bool operator==(const PciAddress&, const PciAddress&) = default;
};

struct Capabilities {
    // identity
    std::uint32_t index = 0;  ///< position in the list `pumice devices` prints
    std::string name;
    DeviceType type = DeviceType::other;
    std::uint32_t vendor_id = 0, device_id = 0;
    std::array<std::uint8_t, 16> uuid{};                 ///< all zero: the driver reports none
    std::array<std::uint8_t, 16> pipeline_cache_uuid{};  ///< changes whenever compiled pipelines do
    std::optional<PciAddress> pci;                       ///< VK_EXT_pci_bus_info
    std::string driver_name, driver_info;
    std::uint32_t driver_version = 0;
    std::uint32_t api_version = 0;

    // limits
    std::uint64_t max_storage_buffer_range = 0;  ///< bytes; a binding never exceeds it
    std::uint64_t max_buffer_size = 0;           ///< bytes
    std::uint64_t max_allocation_size = 0;       ///< bytes, one vkAllocateMemory
    std::uint32_t max_allocation_count = 0;
    std::uint32_t storage_offset_alignment = 256;
    std::uint64_t non_coherent_atom = 1;         ///< bytes; granularity of flushes
    std::uint32_t max_push_constants = 128;      ///< bytes
    std::uint32_t max_storage_buffers = 0;       ///< bindings a stage
    std::uint32_t max_shared_memory = 0;         ///< bytes
    std::uint32_t max_workgroup_invocations = 0;
    std::array<std::uint32_t, 3> max_workgroup_size{};
    std::array<std::uint32_t, 3> max_workgroup_count{};

    // subgroups
    std::uint32_t subgroup_size = 0, min_subgroup_size = 0, max_subgroup_size = 0;
    bool subgroup_size_control = false;
    bool subgroup_basic = false, subgroup_arithmetic = false, subgroup_shuffle = false, subgroup_ballot = false;

    // types
    bool storage_16bit = false, storage_8bit = false;
    bool float16 = false, int8 = false, int16 = false, int64 = false;
    bool integer_dot_product = false;       ///< feature present
    bool integer_dot_accelerated = false;   ///< packed 4x8 bit, signed
    std::vector<CooperativeMatrixShape> cooperative_matrices;
    bool cooperative_matrix2 = false;       ///< VK_NV_cooperative_matrix2
    bool denorm_preserve_f32 = false, rte_f32 = false;

    // memory and time
    std::vector<MemoryHeap> heaps;
    std::vector<MemoryType> memory_types;
    bool memory_budget = false;             ///< VK_EXT_memory_budget present
    bool unified_memory = false;            ///< some memory type is device-local and host-visible on the largest device-local heap
    double timestamp_period = 0;            ///< ns a tick; 0: no timestamps on the compute queue
    std::uint32_t timestamp_bits = 0;
    bool compute_queue = false;
    std::uint32_t compute_queue_family = 0;
    bool timeline_semaphore = false;
};

/// What the engine cannot do without and the device lacks ("Vulkan 1.2 (it has 1.1)", "timeline semaphores", …);
/// empty when it can be used.
std::string missing_requirement(const Capabilities&);

/// "discrete", "integrated", "virtual", "cpu", "other".
const char* to_string(DeviceType);

/// xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx
std::string uuid_string(const std::array<std::uint8_t, 16>&);

/// Reads the record of one physical device. Never fails: what a driver does not report stays at its default.
Capabilities query_capabilities(VkInstance instance, VkPhysicalDevice device);

}  // namespace pumice
