#include "adapters/weight_merger.hpp"

#include <cstring>

#include <fmt/format.h>

#include "graph/program.hpp"
#include "vulkan/command.hpp"

namespace pumice {
namespace {

constexpr std::uint64_t kBatchBytes = std::uint64_t(64) << 20;

constexpr std::uint64_t round_up(std::uint64_t n, std::uint64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

}  // namespace

/// A weight on its way: the f32 values and the factors lie one after the other in a buffer on the device.
struct WeightMerger::Job {
    struct Part {
        ops::MergeChange change;
        std::uint64_t offset, elements;
    };
    Weight to;
    std::uint64_t elements = 0;
    std::shared_ptr<Buffer> staging, buffer;  // staging is null where the host sees the buffer
    std::vector<Part> parts;

    Status append_to(Graph&) const;
};

Status WeightMerger::Job::append_to(Graph& g) const {
    const std::uint32_t n = to.n, m = to.k * to.taps();
    const TensorId w = g.external({1, 1, n, m}, DType::f32, {buffer, 0, elements * 4}, to.name);
    for (const Part& part : parts) {
        const auto count = static_cast<std::uint32_t>(part.elements);
        ops::merge(g, w, g.external({1, 1, 1, count}, DType::f32, {buffer, part.offset, part.elements * 4}, "factors"),
                   part.change);
    }
    ops::repack(g, w, DType::f32, to, 0, n);
    return g.error() ? Status(*g.error()) : Status{};
}

WeightMerger::WeightMerger(std::shared_ptr<Device> device, std::shared_ptr<KernelCache> kernels)
    : device_(std::move(device)), kernels_(std::move(kernels)) {}
WeightMerger::~WeightMerger() = default;

Status WeightMerger::add(const StoredTensor& t, std::vector<AdapterPatch> patches, const Weight& to) {
    const std::uint64_t limit = device_->caps().max_storage_buffer_range;
    const std::uint64_t alignment = std::max<std::uint64_t>(256, device_->caps().storage_offset_alignment);
    Job job;
    job.to = to;
    job.elements = t.elements();
    std::uint64_t size = round_up(job.elements * 4, alignment);
    for (const AdapterPatch& patch : patches) {
        job.parts.push_back({patch.change, size, patch.factors.size()});
        if (patch.factors.size() * 4 > limit || job.elements * 4 > limit)
            return Error{
                Code::missing_feature,
                fmt::format("tensor '{}' and what an adapter changes in it take more than the {} bytes that the "
                            "device binds",
                            printable(t.name), limit)};
        size = round_up(size + patch.factors.size() * 4, alignment);
    }
    if (queued_ > 0 && queued_ + size > kBatchBytes) PUMICE_TRY(flush());
    PUMICE_ASSIGN(job.buffer, device_->allocator().create(size, Intent::device, "merging"));
    if (!job.buffer->mapped()) {
        PUMICE_ASSIGN(job.staging, device_->allocator().create(size, Intent::upload, "merging"));
    }
    Buffer& host = job.staging ? *job.staging : *job.buffer;
    // read_f32 wants floats; a buffer's memory is aligned for them.
    read_f32(t, 0, {reinterpret_cast<float*>(host.mapped()), job.elements});
    for (std::size_t i = 0; i < patches.size(); ++i)
        std::memcpy(host.mapped() + job.parts[i].offset, patches[i].factors.data(), patches[i].factors.size() * 4);
    PUMICE_TRY(host.flush(0, size));
    queued_ += size;
    jobs_.push_back(std::move(job));
    return {};
}

Status WeightMerger::flush() {
    const std::vector<Job> jobs = std::move(jobs_);
    jobs_.clear();
    queued_ = 0;
    if (jobs.empty()) return {};
    if (jobs.front().staging)
        PUMICE_TRY(run_commands(device_, [&](VkCommandBuffer commands) {
            for (const Job& job : jobs) {
                const VkBufferCopy region{0, 0, job.buffer->size()};
                vkCmdCopyBuffer(commands, job.staging->handle(), job.buffer->handle(), 1, &region);
            }
        }));
    Graph graph(device_->caps(), Precision::exact, device_->assumed_gflops());
    for (const Job& job : jobs) PUMICE_TRY(job.append_to(graph));
    Arena arena;
    PUMICE_ASSIGN(const auto program, Program::compile(device_, *kernels_, arena, graph, {.name = "merging"}));
    return program->run();
}

Status merge_on_host(std::vector<float>& values, std::uint64_t columns, const std::vector<AdapterPatch>& patches) {
    for (const AdapterPatch& patch : patches) {
        const ops::MergeChange& c = patch.change;
        using Kind = ops::MergeChange::Kind;
        if (c.kind != Kind::difference && c.kind != Kind::rows)
            return Error{Code::unsupported, "an adapter changes a vector or a table by factors"};
        for (std::uint64_t i = 0; i < c.rows * columns; ++i) {
            float& value = values[c.row0 * columns + i];
            const float change =
                c.kind == Kind::difference ? patch.factors[c.a + i] : value * patch.factors[c.a + i / columns];
            const float scaled = c.factor * change;
            value += scaled;
        }
    }
    return {};
}

}  // namespace pumice
