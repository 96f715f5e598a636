// pumice.kernel/1: a plugin's shaders, compiled, checked and appended to graphs.
#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/hash.hpp"
#include "kernels/shader_compiler.hpp"
#include "ops/ops.hpp"
#include "plugins/check.hpp"
#include "plugins/device_session.hpp"
#include "plugins/session.hpp"
#include "plugins/spirv.hpp"

namespace pumice::plugins {
namespace {

constexpr std::size_t kMostKernels = 1024, kMostCode = std::size_t(4) << 20;
constexpr std::uint32_t kMostInvocations = 256;

Error wrong(const std::string& what) {
    return {Code::invalid_argument, what};
}

bool empty(const pumice_kernel_code& code) {
    return !code.glsl && !code.spirv;
}

/// All lines go to the log; the first of them that names an error is the error.
Error compile_error(Session& session, const std::string& name, const Error& error) {
    std::string first;
    for (std::size_t at = 0; at < error.message.size();) {
        const std::size_t end = std::min(error.message.find('\n', at), error.message.size());
        const std::string line = error.message.substr(at, end - at);
        at = end + 1;
        if (line.empty()) continue;
        session.log().warning("plugin {}: {}", session.plugin(), one_line(line));
        if (first.empty() || (first.find("error:") == std::string::npos && line.find("error:") != std::string::npos))
            first = line;
    }
    return {error.code, first.empty() ? fmt::format("{}: it does not compile", name) : one_line(first)};
}

Status check_interface(const SpirvInterface& found, const pumice_kernel_options& options, const Capabilities& caps,
                       const std::string& name) {
    const std::uint32_t declared = options.reads + options.writes;
    if (found.bindings > declared || found.other_set > 0)
        return wrong(fmt::format("kernel {}: it uses binding {} of set {}; {} tensors are declared, in set 0", name,
                                 found.bindings - 1, found.other_set, declared));
    const auto& size = found.local_size;
    const std::uint64_t invocations = std::uint64_t(size[0]) * size[1] * size[2];
    if (invocations == 0 || invocations > kMostInvocations)
        return wrong(fmt::format("kernel {}: a workgroup of {}x{}x{}, not 1 to {} invocations fixed in the code", name,
                                 size[0], size[1], size[2], kMostInvocations));
    for (int i = 0; i < 3; ++i)
        if (size[i] > caps.max_workgroup_size[i] || invocations > caps.max_workgroup_invocations)
            return Error{Code::missing_feature, fmt::format("kernel {} needs a workgroup of {}x{}x{}; {} has less",
                                                            name, size[0], size[1], size[2], caps.name)};
    return {};
}

}  // namespace

Result<std::string> DeviceSession::add_module(const pumice_kernel_code& code, const pumice_kernel_options& options,
                                              bool f16) {
    const std::string name = std::string(options.name) + (f16 ? " (f16)" : "");
    if (code.glsl && code.spirv) return wrong(fmt::format("kernel {}: GLSL and SPIR-V at once", name));
    const std::size_t bytes = code.glsl ? std::strlen(code.glsl) : code.spirv_words * 4;
    if (bytes == 0 || bytes > kMostCode) return wrong(fmt::format("kernel {}: {} bytes of code", name, bytes));
    const auto* data =
        code.glsl ? reinterpret_cast<const std::byte*>(code.glsl) : reinterpret_cast<const std::byte*>(code.spirv);
    PUMICE_ASSIGN(const std::string digest, sha256({data, bytes}));
    // The bindings belong to the name: the check of the interface is part of what was found good.
    const std::string module =
        fmt::format("plugin.{}.{}.{}.{}", code.glsl ? "glsl" : "spirv", options.reads, options.writes, digest);
    if (services_.kernels->has_module(module)) return module;
    std::vector<std::uint32_t> words(code.spirv, code.spirv + (code.glsl ? 0 : code.spirv_words));
    if (code.glsl) {
        auto compiled = compile_glsl(code.glsl, options.name);
        if (!compiled) return compile_error(session_, name, compiled.error());
        words = *std::move(compiled);
    }
    auto found = read_spirv(words);
    if (!found) return Error{found.error().code, fmt::format("kernel {}: {}", name, found.error().message)};
    PUMICE_TRY(check_interface(*found, options, services_.device->caps(), name));
    services_.kernels->add_module(module, std::move(words));
    return module;
}

Result<pumice_kernel> DeviceSession::add_kernel(const pumice_kernel_options& o) {
    if (!o.name || !*o.name) return wrong("pumice.kernel/1: a kernel without a name");
    const std::string name = one_line({o.name, strnlen(o.name, 200)});
    if (o.writes < 1 || o.reads > PUMICE_KERNEL_MAX_BINDINGS || o.writes > PUMICE_KERNEL_MAX_BINDINGS ||
        o.reads + o.writes > PUMICE_KERNEL_MAX_BINDINGS || o.push_bytes > PUMICE_KERNEL_MAX_PUSH_BYTES ||
        o.push_bytes % 4 != 0)
        return wrong(fmt::format("kernel {}: {} tensors read, {} written, {} bytes pushed", name, o.reads, o.writes,
                                 o.push_bytes));
    if (kernels_.size() >= kMostKernels)
        return wrong(fmt::format("pumice.kernel/1: more than {} kernels", kMostKernels));
    PluginKernel made;
    made.name = name;
    made.reads = o.reads, made.writes = o.writes, made.push_bytes = o.push_bytes;
    made.f16_needs_storage = (o.flags & PUMICE_KERNEL_F16_NEEDS_16BIT_STORAGE) != 0;
    PUMICE_ASSIGN(made.f32, add_module(o.f32, o, false));
    if (!empty(o.f16) && (!made.f16_needs_storage || services_.device->caps().storage_16bit)) {
        PUMICE_ASSIGN(made.f16, add_module(o.f16, o, true));
    }
    kernels_.push_back(std::move(made));
    return static_cast<pumice_kernel>(kernels_.size());
}

Status DeviceSession::append_kernel(pumice_graph graph, pumice_kernel handle, const pumice_kernel_use* use,
                                    pumice_node* written) {
    Building* at = building(graph);
    if (!at) return wrong(fmt::format("pumice.kernel/1: there is no graph {} now", graph));
    if (handle == 0 || handle > kernels_.size())
        return wrong(fmt::format("pumice.kernel/1: there is no kernel {}", handle));
    const PluginKernel& kernel = kernels_[handle - 1];
    if (!use || use->struct_size < sizeof(*use) || !written || (kernel.reads > 0 && !use->reads) || !use->writes ||
        (kernel.push_bytes > 0 && !use->push) || use->constant_count > PUMICE_KERNEL_MAX_CONSTANTS ||
        (use->constant_count > 0 && !use->constants))
        return wrong(fmt::format("kernel {}: appended with a NULL, a wrong size or too many constants", kernel.name));
    std::fill(written, written + kernel.writes, 0);
    Graph& g = *at->graph;
    if (g.error()) return {};

    const bool half = g.precision() == Precision::fp16 && !kernel.f16.empty();
    const DType type = half ? DType::f16 : DType::f32;
    Dispatch dispatch;
    dispatch.kernel = {half ? kernel.f16 : kernel.f32,
                       {use->constants, use->constants + use->constant_count},
                       kernel.reads + kernel.writes,
                       kernel.push_bytes};
    std::vector<TensorId> all;
    for (std::uint32_t i = 0; i < kernel.reads; ++i) {
        if (use->reads[i] == 0 || use->reads[i] > g.tensors().size())
            return wrong(fmt::format("kernel {}: there is no node {}", kernel.name, use->reads[i]));
        TensorId id{use->reads[i] - 1};
        if (g.dtype(id) != type) id = ops::cast(g, id, type);
        if (!id) return *g.error();
        all.push_back(id);
    }
    for (std::uint32_t i = 0; i < kernel.writes; ++i) {
        const pumice_shape& s = use->writes[i];
        const Shape shape{s.n, s.h, s.w, s.c};
        if (shape.elements() == 0 || s.c % 4 != 0)
            return wrong(fmt::format("kernel {}: an output of {}x{}x{}x{}; channels are a multiple of 4", kernel.name,
                                     s.n, s.h, s.w, s.c));
        all.push_back(g.transient(shape, type));
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (g.info(all[i]).bytes() > g.caps().max_storage_buffer_range)
            return Error{Code::missing_feature,
                         fmt::format("kernel {}: a tensor of {} bytes is larger than the device can "
                                     "bind ({})",
                                     kernel.name, g.info(all[i]).bytes(), g.caps().max_storage_buffer_range)};
        dispatch.bindings.push_back(g.bind(all[i], i < kernel.reads ? Access::read : Access::write));
        dispatch.bytes += double(g.info(all[i]).bytes());
    }
    for (int i = 0; i < 3; ++i) {
        dispatch.groups[i] = use->groups[i];
        if (use->groups[i] == 0 || use->groups[i] > 65535)
            return wrong(fmt::format("kernel {}: {}x{}x{} workgroups, not 1 to 65535 each", kernel.name, use->groups[0],
                                     use->groups[1], use->groups[2]));
    }
    dispatch.push.resize(kernel.push_bytes / 4);
    if (kernel.push_bytes > 0) std::memcpy(dispatch.push.data(), use->push, kernel.push_bytes);
    dispatch.flops = use->flops > 0 ? use->flops : dispatch.bytes;
    Node node{(g.scope().empty() ? "" : g.scope() + " ") + kernel.name, {}};
    node.dispatches.push_back(std::move(dispatch));
    g.add(std::move(node));
    for (std::uint32_t i = 0; i < kernel.writes; ++i) written[i] = LentGraph::node(all[kernel.reads + i]);
    return {};
}

const pumice_host_kernel_1& DeviceSession::kernel_extension() {
    static const pumice_host_kernel_1 kKernel = {
        .struct_size = sizeof(pumice_host_kernel_1),
        .reserved = 0,
        .create = [](const pumice_host* host, const pumice_kernel_options* options,
                     pumice_kernel* kernel) -> pumice_sdk_status {
            Session& session = Session::of(host);
            return session.serve([&]() -> Status {
                if (!options || options->struct_size < sizeof(*options) || !kernel)
                    return wrong("pumice.kernel/1: create without options of the right size, or to NULL");
                PUMICE_ASSIGN(*kernel, session.device()->add_kernel(*options));
                return {};
            });
        },
        .append = [](const pumice_host* host, pumice_graph graph, pumice_kernel kernel, const pumice_kernel_use* use,
                     pumice_node* written) -> pumice_sdk_status {
            Session& session = Session::of(host);
            return session.serve([&]() -> Status {
                Status appended = session.device()->append_kernel(graph, kernel, use, written);
                // What a network's build function is told when it does not look at the status.
                if (Building* at = session.device()->building(graph); at && !appended)
                    at->graph->fail(appended.error());
                return appended;
            });
        },
    };
    return kKernel;
}

}  // namespace pumice::plugins
