#include "engine/device_json.hpp"

#include <fmt/format.h>

namespace pumice {
namespace {

using Json = nlohmann::ordered_json;

/// Names and versions come from the driver: bytes that are no UTF-8 must not make dump() throw.
std::string driver_text(const std::string& text) {
    return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
}

Json limits(const Capabilities& caps) {
    return {{"max_storage_buffer_range", caps.max_storage_buffer_range},
            {"max_buffer_size", caps.max_buffer_size},
            {"max_allocation_size", caps.max_allocation_size},
            {"max_allocation_count", caps.max_allocation_count},
            {"storage_offset_alignment", caps.storage_offset_alignment},
            {"non_coherent_atom", caps.non_coherent_atom},
            {"max_push_constants", caps.max_push_constants},
            {"max_storage_buffers", caps.max_storage_buffers},
            {"max_shared_memory", caps.max_shared_memory},
            {"max_workgroup_invocations", caps.max_workgroup_invocations},
            {"max_workgroup_size", caps.max_workgroup_size},
            {"max_workgroup_count", caps.max_workgroup_count}};
}

Json subgroups(const Capabilities& caps) {
    return {{"size", caps.subgroup_size},         {"min_size", caps.min_subgroup_size},
            {"max_size", caps.max_subgroup_size}, {"size_control", caps.subgroup_size_control},
            {"basic", caps.subgroup_basic},       {"arithmetic", caps.subgroup_arithmetic},
            {"shuffle", caps.subgroup_shuffle},   {"ballot", caps.subgroup_ballot}};
}

Json types(const Capabilities& caps) {
    return {{"storage_16bit", caps.storage_16bit},
            {"storage_8bit", caps.storage_8bit},
            {"float16", caps.float16},
            {"int8", caps.int8},
            {"int16", caps.int16},
            {"int64", caps.int64},
            {"integer_dot_product", caps.integer_dot_product},
            {"integer_dot_accelerated", caps.integer_dot_accelerated},
            {"denorm_preserve_f32", caps.denorm_preserve_f32},
            {"rte_f32", caps.rte_f32}};
}

Json cooperative_matrices(const Capabilities& caps) {
    Json shapes = Json::array();
    for (const CooperativeMatrixShape& s : caps.cooperative_matrices)
        shapes.push_back({{"m", s.m},
                          {"n", s.n},
                          {"k", s.k},
                          {"a", s.a},
                          {"b", s.b},
                          {"c", s.c},
                          {"result", s.result},
                          {"saturating", s.saturating},
                          {"subgroup_scope", s.subgroup_scope}});
    return shapes;
}

Json heaps(const Capabilities& caps) {
    Json all = Json::array();
    for (const MemoryHeap& h : caps.heaps)
        all.push_back({{"size", h.size}, {"budget", h.budget}, {"usage", h.usage}, {"device_local", h.device_local}});
    return all;
}

Json memory_types(const Capabilities& caps) {
    Json all = Json::array();
    for (const MemoryType& t : caps.memory_types)
        all.push_back({{"heap", t.heap},
                       {"device_local", t.device_local},
                       {"host_visible", t.host_visible},
                       {"host_coherent", t.host_coherent},
                       {"host_cached", t.host_cached},
                       {"special", t.special}});
    return all;
}

Json pci(const Capabilities& caps) {
    if (!caps.pci) return nullptr;
    return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", caps.pci->domain, caps.pci->bus, caps.pci->device,
                       caps.pci->function);
}

}  // namespace

std::string vulkan_version_text(std::uint32_t version) {
    const std::string text = fmt::format("{}.{}.{}", VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version),
                                         VK_API_VERSION_PATCH(version));
    const std::uint32_t variant = VK_API_VERSION_VARIANT(version);
    return variant ? fmt::format("{}:{}", variant, text) : text;
}

Json to_json(const Capabilities& caps) {
    return {{"index", caps.index},
            {"name", driver_text(caps.name)},
            {"type", to_string(caps.type)},
            {"missing", missing_requirement(caps)},
            {"vendor_id", caps.vendor_id},
            {"device_id", caps.device_id},
            {"uuid", uuid_string(caps.uuid)},
            {"pipeline_cache_uuid", uuid_string(caps.pipeline_cache_uuid)},
            {"pci", pci(caps)},
            {"driver_name", driver_text(caps.driver_name)},
            {"driver_info", driver_text(caps.driver_info)},
            {"driver_version", caps.driver_version},
            {"api_version", vulkan_version_text(caps.api_version)},
            {"limits", limits(caps)},
            {"subgroups", subgroups(caps)},
            {"types", types(caps)},
            {"cooperative_matrices", cooperative_matrices(caps)},
            {"cooperative_matrix2", caps.cooperative_matrix2},
            {"heaps", heaps(caps)},
            {"memory_types", memory_types(caps)},
            {"memory_budget", caps.memory_budget},
            {"unified_memory", caps.unified_memory},
            {"timestamp_period", caps.timestamp_period},
            {"timestamp_bits", caps.timestamp_bits},
            {"compute_queue", caps.compute_queue},
            {"compute_queue_family", caps.compute_queue_family},
            {"timeline_semaphore", caps.timeline_semaphore}};
}

}  // namespace pumice
