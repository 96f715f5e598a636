#include "graph/program.hpp"

#include <algorithm>
#include <deque>
#include <future>
#include <system_error>

#include "vulkan/profiler.hpp"

namespace pumice {
namespace {

constexpr std::uint64_t kPageLimit = std::uint64_t(1) << 30;
constexpr double kSubmissionSeconds = 0.1;   // short enough for watchdogs and for Ctrl-C
constexpr double kChunkSeconds = 0.05;       // what is recorded as one command buffer, by the assumed speed
constexpr std::size_t kChunkDispatches = 256;
constexpr std::size_t kInFlight = 2;         // one runs while the next waits: the device never idles

/// Byte ranges touched since the last barrier; says when the next dispatch needs one.
class Hazards {
public:
    struct Range {
        VkBuffer buffer;
        std::uint64_t begin, end;
        bool write;
    };
    bool conflict(const std::vector<Range>& ranges) const {
        return std::any_of(ranges.begin(), ranges.end(), [&](const Range& r) {
            return std::any_of(pending_.begin(), pending_.end(), [&](const Range& p) {
                return (r.write || p.write) && r.buffer == p.buffer && r.begin < p.end && p.begin < r.end;
            });
        });
    }
    void add(const std::vector<Range>& ranges) { pending_.insert(pending_.end(), ranges.begin(), ranges.end()); }
    void clear() { pending_.clear(); }

private:
    std::vector<Range> pending_;
};

void barrier(VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags from_access, VkPipelineStageFlags to,
             VkAccessFlags to_access) {
    VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, from_access, to_access};
    vkCmdPipelineBarrier(commands, from, to, 0, 1, &memory, 0, nullptr, 0, nullptr);
}

void compute_barrier(VkCommandBuffer commands) {
    barrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
            VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

}  // namespace

Result<std::vector<std::shared_ptr<Buffer>>> Arena::pages(Device& device, const std::vector<std::uint64_t>& sizes) {
    if (pages_.size() < sizes.size()) pages_.resize(sizes.size());
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        if (pages_[i] && pages_[i]->size() >= sizes[i]) continue;
        pages_[i].reset();
        PUMICE_ASSIGN(pages_[i], device.allocator().create(sizes[i], Intent::device, "activations"));
    }
    return std::vector<std::shared_ptr<Buffer>>(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(sizes.size()));
}

std::uint64_t Arena::bytes() const {
    std::uint64_t sum = 0;
    for (const auto& page : pages_) sum += page ? page->size() : 0;
    return sum;
}

Plan plan_for(const Graph& graph) {
    const Capabilities& caps = graph.caps();
    return plan(graph, std::min({kPageLimit, caps.max_allocation_size, caps.max_buffer_size}),
                std::max<std::uint64_t>(256, caps.storage_offset_alignment));
}

struct Program::Chunk {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    double flops = 0;
    double seconds = 0;  ///< estimated from the assumed speed, then measured
    std::uint32_t first_stamp = 0, last_stamp = 0;
};

/// Records the graph's dispatches into chunks.
struct Program::Recorder {
    Program& program;
    const Graph& graph;
    KernelCache& kernels;
    bool timestamps;
    const std::vector<std::uint32_t>& segment_nodes;
    std::size_t next_segment = 0;
    ProfiledProgram description{};
    Hazards hazards{};
    std::size_t chunk_dispatches = 0;
    VkDescriptorPool descriptors = VK_NULL_HANDLE;

    Device& device() { return *program.device_; }
    Chunk& chunk() { return program.chunks_.back(); }

    Status make_descriptor_pool();
    /// A chunk has a timestamp at its begin, and one at its end or after each of its dispatches, of which it has one at
    /// least (but for an empty program's, and a segment's at the end).
    std::uint32_t stamp_limit() const {
        return static_cast<std::uint32_t>(2 * (std::max<std::size_t>(1, program.dispatches_) + segment_nodes.size()));
    }
    void stamp();
    Status begin_chunk();
    Status end_chunk();
    Status record_node(std::size_t index);
    Status record_dispatch(const Dispatch&, const std::string& label);
    Result<VkDescriptorSet> bind(const Dispatch&, const Pipeline&, std::vector<Hazards::Range>&);
    Status check(const Dispatch&) const;
    Status record();
};

Status Program::Recorder::make_descriptor_pool() {
    std::uint32_t sets = 0, buffers = 0;
    for (const Node& node : graph.nodes())
        for (const Dispatch& d : node.dispatches) {
            ++sets;
            buffers += static_cast<std::uint32_t>(d.bindings.size());
        }
    program.dispatches_ = sets;
    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, std::max(1u, buffers)};
    VkDescriptorPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    info.maxSets = std::max(1u, sets);
    info.poolSizeCount = 1;
    info.pPoolSizes = &size;
    if (const VkResult r = vkCreateDescriptorPool(device().handle(), &info, nullptr, &descriptors); r != VK_SUCCESS)
        return device().error(r, program.name_ + ": descriptor pool");
    program.descriptor_pools_.push_back(descriptors);
    return {};
}

Status Program::Recorder::check(const Dispatch& d) const {
    const Capabilities& caps = program.device_->caps();
    for (int i = 0; i < 3; ++i)
        if (d.groups[i] == 0 || d.groups[i] > caps.max_workgroup_count[i])
            return Error{Code::internal, d.kernel.module + ": " + std::to_string(d.groups[i]) + " workgroups"};
    for (const Binding& b : d.bindings)
        if (b.size > caps.max_storage_buffer_range || b.offset % caps.storage_offset_alignment != 0)
            return Error{Code::internal, d.kernel.module + ": binding of " + std::to_string(b.size) + " bytes at " +
                                             std::to_string(b.offset) + " is beyond the device's limits"};
    return {};
}

Result<VkDescriptorSet> Program::Recorder::bind(const Dispatch& d, const Pipeline& pipeline,
                                                std::vector<Hazards::Range>& ranges) {
    VkDescriptorSetAllocateInfo allocate{};
    allocate.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    allocate.descriptorPool = descriptors;
    allocate.descriptorSetCount = 1;
    allocate.pSetLayouts = &pipeline.set_layout;
    VkDescriptorSet set = VK_NULL_HANDLE;
    if (const VkResult r = vkAllocateDescriptorSets(device().handle(), &allocate, &set); r != VK_SUCCESS)
        return device().error(r, program.name_ + ": descriptor set");

    std::vector<VkDescriptorBufferInfo> infos(d.bindings.size());
    std::vector<VkWriteDescriptorSet> writes(d.bindings.size());
    for (std::size_t i = 0; i < d.bindings.size(); ++i) {
        const Binding& b = d.bindings[i];
        const BufferRange where = program.range(b.tensor);
        const std::uint64_t offset = where.offset + b.offset;
        const std::uint64_t size = std::min(b.size, where.buffer->size() - offset);
        infos[i] = {where.buffer->handle(), offset, size};
        writes[i] = {};
        writes[i].sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
        writes[i].dstSet = set;
        writes[i].dstBinding = static_cast<std::uint32_t>(i);
        writes[i].descriptorCount = 1;
        writes[i].descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        writes[i].pBufferInfo = &infos[i];
        ranges.push_back({where.buffer->handle(), offset, offset + size, b.access != Access::read});
    }
    vkUpdateDescriptorSets(device().handle(), static_cast<std::uint32_t>(writes.size()), writes.data(), 0, nullptr);
    return set;
}

Status Program::Recorder::begin_chunk() {
    Chunk next;
    PUMICE_ASSIGN(next.commands, program.pool_->begin());
    program.chunks_.push_back(next);
    chunk_dispatches = 0;
    hazards.clear();
    if (timestamps) {
        // All that this one may write; what belongs to later ones they reset themselves.
        const std::uint32_t first = program.stamp_count_, all = stamp_limit() - first;
        program.stamps_->reset(chunk().commands, first, std::min<std::uint32_t>(all, kChunkDispatches + 1));
        chunk().first_stamp = first;
        stamp();
    }
    // Chunks of one submission depend on each other like dispatches do.
    barrier(chunk().commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
            VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    return {};
}

/// One more, after all that is recorded so far.
void Program::Recorder::stamp() {
    chunk().last_stamp = program.stamp_count_;
    program.stamps_->write(chunk().commands, program.stamp_count_++);
}

Status Program::Recorder::end_chunk() {
    if (timestamps && !program.profiled_) stamp();
    chunk().seconds = chunk().flops / (device().assumed_gflops() * 1e9);
    return program.pool_->end(chunk().commands);
}

Status Program::Recorder::record_dispatch(const Dispatch& d, const std::string& label) {
    PUMICE_TRY(check(d));
    const double limit = device().assumed_gflops() * 1e9 * kChunkSeconds;
    if (chunk_dispatches > 0 && (chunk().flops + d.flops > limit || chunk_dispatches == kChunkDispatches)) {
        PUMICE_TRY(end_chunk());
        PUMICE_TRY(begin_chunk());
    }
    PUMICE_ASSIGN(const Pipeline* pipeline, kernels.get(d.kernel));
    std::vector<Hazards::Range> ranges;
    PUMICE_ASSIGN(const VkDescriptorSet set, bind(d, *pipeline, ranges));
    const VkCommandBuffer commands = chunk().commands;
    if (hazards.conflict(ranges)) {
        compute_barrier(commands);
        hazards.clear();
    }
    hazards.add(ranges);
    vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->pipeline);
    vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline->layout, 0, 1, &set, 0, nullptr);
    if (!d.push.empty())
        vkCmdPushConstants(commands, pipeline->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                           static_cast<std::uint32_t>(d.push.size() * 4), d.push.data());
    vkCmdDispatch(commands, d.groups[0], d.groups[1], d.groups[2]);
    chunk().flops += d.flops;
    program.flops_ += d.flops;
    ++chunk_dispatches;
    if (program.profiled_) {
        stamp();
        description.dispatches.push_back({label, d.kernel.module, d.kernel.specialization, d.flops, d.bytes});
    }
    return {};
}

Status Program::Recorder::record_node(std::size_t index) {
    const Node& node = graph.nodes()[index];
    if (next_segment < segment_nodes.size() && segment_nodes[next_segment] == index) {
        if (chunk_dispatches > 0) {
            PUMICE_TRY(end_chunk());
            PUMICE_TRY(begin_chunk());
        }
        program.segments_.push_back(program.chunks_.size() - 1);
        ++next_segment;
    }
    NodeTime time{node.label, {}, 0, 0, 0};
    double longest = -1;
    for (const Dispatch& d : node.dispatches) {
        if (auto recorded = record_dispatch(d, node.label); !recorded) {
            recorded.error().message = node.label + ": " + recorded.error().message;
            return recorded;
        }
        time.flops += d.flops;
        time.bytes += d.bytes;
        if (d.flops > longest) {
            longest = d.flops;
            time.module = d.kernel.module;
        }
    }
    if (program.profiled_) {
        program.nodes_.push_back(std::move(time));
        program.node_ends_.push_back(description.dispatches.size());
    }
    return {};
}

Status Program::Recorder::record() {
    PUMICE_TRY(make_descriptor_pool());
    const auto nodes = static_cast<std::uint32_t>(graph.nodes().size());
    if (timestamps) {
        PUMICE_ASSIGN(program.stamps_, Timestamps::create(program.device_, stamp_limit()));
    }
    PUMICE_TRY(begin_chunk());
    for (std::size_t i = 0; i < nodes; ++i) PUMICE_TRY(record_node(i));
    return end_chunk();
}

Result<std::unique_ptr<Program>> Program::compile(std::shared_ptr<Device> device, KernelCache& kernels, Arena& arena,
                                                  const Graph& graph, const ProgramOptions& options) {
    if (const Error* error = graph.error()) return *error;
    const Capabilities& caps = device->caps();
    std::unique_ptr<Program> program(new Program);
    program->device_ = device;
    program->name_ = options.name;
    program->feed_ = options.segments.empty() ? nullptr : options.feed;
    program->tensors_ = graph.tensors();
    program->plan_ = plan_for(graph);
    PUMICE_ASSIGN(program->pages_, arena.pages(*device, program->plan_.page_sizes));

    std::vector<KernelKey> keys;
    for (const Node& node : graph.nodes())
        for (const Dispatch& d : node.dispatches) keys.push_back(d.kernel);
    PUMICE_TRY(kernels.prepare(keys));

    PUMICE_ASSIGN(program->pool_, CommandPool::create(device));
    const bool timestamps = caps.timestamp_period > 0;
    program->profile_ = device->profile();
    program->profiled_ =
        timestamps && (options.profile || (program->profile_ && program->profile_->options().dispatches));
    Recorder recorder{*program, graph, kernels, timestamps, options.segments};
    PUMICE_TRY(recorder.record());
    if (program->profiled_ || program->profile_) {
        recorder.description.name = program->name_;
        recorder.description.flops = program->flops_;
        program->description_ = std::make_shared<const ProfiledProgram>(std::move(recorder.description));
    }
    return program;
}

Program::~Program() {
    if (!device_) return;
    // A failed or cancelled run may have left work behind; its buffers must outlive it.
    if (!device_->lost()) (void)device_->wait(device_->last_submitted());
    for (VkDescriptorPool pool : descriptor_pools_) vkDestroyDescriptorPool(device_->handle(), pool, nullptr);
}

BufferRange Program::range(TensorId id) const {
    const TensorInfo& t = tensors_[id.index];
    if (t.external.buffer) return t.external;
    const Placement& p = plan_.placements[id.index];
    return {pages_[p.page], p.offset, t.bytes()};
}

/// Work under way, and whether more of it is wanted.
struct Program::Submitting {
    const std::atomic<bool>* cancel;
    std::deque<std::uint64_t> in_flight{};
    std::vector<VkCommandBuffer> batch{};
    bool cancelled() const { return cancel && cancel->load(std::memory_order_relaxed); }
};

Status Program::run_chunks(Submitting& now, std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end;) {
        if (now.cancelled()) {
            if (!now.in_flight.empty()) PUMICE_TRY(device_->wait(now.in_flight.back()));
            return Error{Code::cancelled, "cancelled"};
        }
        now.batch.clear();
        double seconds = 0;
        do {
            now.batch.push_back(chunks_[i].commands);
            seconds += chunks_[i].seconds;
            ++i;
        } while (i < end && seconds + chunks_[i].seconds <= kSubmissionSeconds);
        if (now.in_flight.size() == kInFlight) {
            PUMICE_TRY(device_->wait(now.in_flight.front()));
            now.in_flight.pop_front();
        }
        PUMICE_ASSIGN(const std::uint64_t value, device_->submit(now.batch));
        now.in_flight.push_back(value);
    }
    return {};
}

/// While a segment runs, the next one's memory is filled, as soon as the device is done with what was there.
Status Program::run_segments(Submitting& now) {
    const std::size_t slots = feed_->slots();
    std::vector<std::uint64_t> ends(segments_.size(), 0);
    std::future<Status> next;  // waits when it goes
    for (std::size_t s = 0; s < segments_.size(); ++s) {
        const auto fill = [this, &ends, slots](std::size_t segment) -> Status {
            if (segment >= slots) PUMICE_TRY(device_->wait(ends[segment - slots]));
            return feed_->fill(segment);
        };
        PUMICE_TRY(next.valid() ? next.get() : fill(s));
        if (slots > 1 && s + 1 < segments_.size()) {
            try {
                next = std::async(std::launch::async, fill, s + 1);
            } catch (const std::system_error&) {  // no thread to be had: then when it is needed
                next = {};
            }
        }
        const std::size_t end = s + 1 < segments_.size() ? segments_[s + 1] : chunks_.size();
        PUMICE_TRY(run_chunks(now, segments_[s], end));
        ends[s] = device_->last_submitted();
    }
    return {};
}

Status Program::run(const std::atomic<bool>* cancel) {
    const double begin = profile_ ? profile_->now() : 0;
    Submitting now{cancel};
    PUMICE_TRY(feed_ ? run_segments(now) : run_chunks(now, 0, chunks_.size()));
    if (!now.in_flight.empty()) PUMICE_TRY(device_->wait(now.in_flight.back()));

    device_seconds_ = 0;
    if (stamps_) PUMICE_TRY(read_times());
    // Small programs measure overhead, not speed.
    if (flops_ > 1e8 && device_seconds_ > 0) device_->observe_gflops(flops_ / device_seconds_ * 1e-9);
    if (profile_)
        profile_->add({.program = description_,
                       .begin = begin,
                       .end = profile_->now(),
                       .device_seconds = device_seconds_,
                       .device_bytes = device_->allocator().statistics().device_in_use,
                       .spans = profile_->options().dispatches ? spans_ : std::vector<ProfiledRun::Span>{}});
    return {};
}

Status Program::read_times() {
    PUMICE_ASSIGN(const std::vector<std::uint64_t> ticks, stamps_->ticks(stamp_count_));
    const auto seconds = [&](std::uint32_t from, std::uint32_t to) {
        return stamps_->between(ticks[from], ticks[to]) * 1e-9;
    };
    spans_.clear();
    for (Chunk& chunk : chunks_) {
        chunk.seconds = seconds(chunk.first_stamp, chunk.last_stamp);
        device_seconds_ += chunk.seconds;
        // From the end of one dispatch to the end of the next: so they add up to the whole, waiting included.
        if (profiled_)
            for (std::uint32_t i = chunk.first_stamp; i < chunk.last_stamp; ++i)
                spans_.push_back({seconds(0, i), seconds(i, i + 1)});
    }
    return {};
}

Result<std::vector<NodeTime>> Program::times() {
    std::vector<NodeTime> times = nodes_;
    std::size_t at = 0;
    for (std::size_t i = 0; i < times.size(); ++i)
        for (; at < std::min(node_ends_[i], spans_.size()); ++at) times[i].milliseconds += spans_[at].seconds * 1e3;
    return times;
}

}  // namespace pumice
