// Records of devices that are not here, as far as choosing and splitting look at them. What a record says comes from the
// driver's own source, or was measured:
//   RDNA 2, RDNA 3   Mesa, src/amd/vulkan/radv_physical_device.c: 64 KiB of shared memory from GFX7 on, 65535 workgroups
//                    an axis, 1024 invocations; subgroups of 32 or 64
//   Intel            Mesa, src/intel/vulkan/anv_physical_device.c: 65535 workgroups an axis, 1024 invocations, subgroups of
//                    8 to 32 before Xe2, a storage buffer no larger than the heap and 4 GiB; integer dot from version 12
//                    on. The iGPU's heap of 2 GiB and its 1 GiB buffers are this test's: an old machine of 4 GiB.
//   Turing, Hopper   NVIDIA's published limits (tables of VkPhysicalDeviceLimits): 48 KiB, 2^31 - 1 workgroups along x and
//                    65535 along y and z, 1024 invocations; subgroups of 32
//   Apple            MoltenVK, GPUObjects/MVKDevice.mm: 32 KiB, 1024 invocations; one heap, of all memory
//   Adreno           Mesa, src/freedreno/vulkan/tu_common.h and tu_device.cc: storage buffers of 2^27 bytes, buffers of
//                    4 GiB; 32 KiB; subgroups of 64 or 128
//   lavapipe, SwiftShader   measured on Debian 12 (mesa 22.3.6; chromium's SwiftShader)
#pragma once

#include <vector>

#include "vulkan/capabilities.hpp"

namespace pumice::test {

inline Capabilities fake_device(const char* name, DeviceType type, std::uint64_t heap, std::uint64_t binding,
                                std::uint32_t shared, std::uint32_t invocations, std::uint32_t groups_x,
                                std::array<std::uint32_t, 3> subgroup, bool types16) {
    constexpr std::uint64_t kGiB = std::uint64_t(1) << 30;
    Capabilities caps;
    caps.name = name;
    caps.type = type;
    caps.api_version = VK_API_VERSION_1_2;
    caps.max_storage_buffer_range = binding;
    caps.max_buffer_size = std::max(binding, 4 * kGiB);
    caps.max_allocation_size = std::min(heap, 4 * kGiB);
    caps.max_allocation_count = 4096;
    caps.storage_offset_alignment = 64;
    caps.max_push_constants = 128;
    caps.max_storage_buffers = 16;
    caps.max_shared_memory = shared;
    caps.max_workgroup_invocations = invocations;
    caps.max_workgroup_size = {invocations, invocations, 64};
    caps.max_workgroup_count = {groups_x, 65535, 65535};
    caps.subgroup_size = subgroup[0];
    caps.min_subgroup_size = subgroup[1];
    caps.max_subgroup_size = subgroup[2];
    caps.subgroup_size_control = subgroup[1] != subgroup[2];
    caps.subgroup_basic = caps.subgroup_arithmetic = caps.subgroup_shuffle = caps.subgroup_ballot = true;
    caps.storage_16bit = caps.storage_8bit = caps.float16 = caps.int8 = caps.int16 = types16;
    caps.int64 = true;
    caps.timeline_semaphore = caps.compute_queue = true;
    caps.timestamp_period = 1;
    const bool unified = type != DeviceType::discrete;
    caps.unified_memory = unified;
    caps.heaps = {{heap, heap, 0, true}};
    caps.memory_types = {{0, true, unified, unified, unified, false}};
    if (!unified) {
        caps.heaps.push_back({16 * kGiB, 16 * kGiB, 0, false});
        caps.memory_types.push_back({1, false, true, true, true, false});
    }
    return caps;
}

inline std::vector<Capabilities> fake_devices() {
    constexpr std::uint64_t kMiB = std::uint64_t(1) << 20, kGiB = std::uint64_t(1) << 30, kMost = 0xFFFFFFFF;
    constexpr std::uint32_t kKiB = 1024, kNvidia = 2147483647;
    std::vector<Capabilities> all = {
        fake_device("Intel iGPU of 2 GiB", DeviceType::integrated, 2 * kGiB, kGiB, 64 * kKiB, 1024, 65535, {32, 8, 32}, true),
        fake_device("RDNA 2", DeviceType::discrete, 16 * kGiB, kMost, 64 * kKiB, 1024, 65535, {64, 32, 64}, true),
        fake_device("RDNA 3", DeviceType::discrete, 24 * kGiB, kMost, 64 * kKiB, 1024, 65535, {64, 32, 64}, true),
        fake_device("Arc", DeviceType::discrete, 16 * kGiB, kMost, 64 * kKiB, 1024, 65535, {32, 8, 32}, true),
        fake_device("Turing", DeviceType::discrete, 8 * kGiB, kMost, 48 * kKiB, 1024, kNvidia, {32, 32, 32}, true),
        fake_device("Hopper", DeviceType::discrete, 80 * kGiB, kMost, 48 * kKiB, 1024, kNvidia, {32, 32, 32}, true),
        fake_device("Apple through MoltenVK", DeviceType::integrated, 12 * kGiB, kMost, 32 * kKiB, 1024, kNvidia, {32, 32, 32},
                    true),
        fake_device("Adreno", DeviceType::integrated, 4 * kGiB, 128 * kMiB, 32 * kKiB, 1024, 65535, {128, 64, 128}, true),
        fake_device("lavapipe", DeviceType::cpu, 2 * kGiB, 128 * kMiB, 32 * kKiB, 1024, 65535, {8, 8, 8}, true),
        fake_device("SwiftShader", DeviceType::cpu, 2 * kGiB, kGiB, 32 * kKiB, 256, 65535, {4, 4, 4}, false)};
    for (Capabilities& caps : all)
        if (caps.name == "Arc") caps.integer_dot_product = caps.integer_dot_accelerated = true;
    const CooperativeMatrixShape sixteen{16, 16, 16, "f16", "f16", "f32", "f32"};
    for (Capabilities& caps : all)
        if (caps.name == "RDNA 3" || caps.name == "Turing" || caps.name == "Hopper")
            caps.cooperative_matrices = {sixteen};
    return all;
}

}  // namespace pumice::test
