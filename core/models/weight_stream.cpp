#include "models/weight_stream.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "vulkan/command.hpp"

namespace pumice {
namespace {

constexpr std::uint64_t kMarkBytes = 16;                            // of each planned weight in the placeholder
constexpr std::uint64_t kMostPoolBytes = std::uint64_t(256) << 20;  // of one buffer of weights that stay

std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

std::uint64_t alignment_of(const Device& device) {
    return std::max<std::uint64_t>(256, device.caps().storage_offset_alignment);
}

}  // namespace

// ---- WeightStream ----

WeightStream::~WeightStream() {
    for (WeightRing::Content& c : ring_->contents)
        if (c.stream == this) c = {};  // another may come to lie where this was
}

std::vector<std::uint32_t> WeightStream::first_nodes() const {
    std::vector<std::uint32_t> nodes;
    for (const Segment& s : segments_) nodes.push_back(s.first_node);
    return nodes;
}

Status WeightStream::fill(std::size_t segment) {
    const std::size_t slot = segment % slots();
    WeightRing::Content& content = ring_->contents[slot];
    if (content.stream == this && content.segment == segment) return {};
    content = {};
    PUMICE_TRY(fill_items(segments_[segment].items, slot * ring_->slots.bytes));
    content = {this, segment};
    return {};
}

Status WeightStream::fill_items(const std::vector<Item>& items, std::uint64_t slot_begin) {
    Buffer& ring = *ring_->buffer;
    std::vector<VkBufferCopy> copies;
    std::vector<const Item*> converted;
    for (const Item& item : items) {
        const BufferRange& to = item.weight.range;
        const auto kept = set_.host_.find(item.name);
        if (kept == set_.host_.end()) {
            PUMICE_TRY(set_.load_to(item.name, item.weight));
            converted.push_back(&item);
        } else if (ring.mapped()) {
            std::memcpy(ring.mapped() + to.offset, kept->second.data(), kept->second.size());
        } else {
            std::memcpy(ring_->staging->mapped() + (to.offset - slot_begin), kept->second.data(), kept->second.size());
            copies.push_back({to.offset - slot_begin, to.offset, kept->second.size()});
        }
    }
    if (ring.mapped()) PUMICE_TRY(ring.flush(slot_begin, ring_->slots.bytes));
    if (!copies.empty()) {
        PUMICE_TRY(ring_->staging->flush(0, ring_->slots.bytes));
        PUMICE_TRY(run_commands(set_.device_, [&](VkCommandBuffer commands) {
            vkCmdCopyBuffer(commands, ring_->staging->handle(), ring.handle(),
                            static_cast<std::uint32_t>(copies.size()), copies.data());
        }));
    }
    if (converted.empty()) return {};
    if (set_.merger_) PUMICE_TRY(set_.merger_->flush());
    set_.merger_.reset();
    PUMICE_TRY(set_.store_->flush());
    for (const Item* item : converted) PUMICE_TRY(set_.keep_on_host(item->name, item->weight));
    return {};
}

// ---- WeightSet: the two steps ----

void WeightSet::begin_planning() {
    forget_planned();
    planning_ = true;
}

void WeightSet::forget_planned() {
    planning_ = false;
    planned_.clear();
    planned_by_name_.clear();
}

bool WeightSet::changed(const std::string& name) const { return adapters_ && adapters_->changes(prefix_ + name); }

/// As load() makes it.
Result<Weight> WeightSet::planned(const std::string& name, WeightUse use) {
    make_store();
    PUMICE_ASSIGN(const StoredTensor* const t, file_->tensor(prefix_ + name));
    PUMICE_ASSIGN(Weight w, store_->planned(*file_, *t, use));
    if (changed(name) && w.layout == WeightLayout::packed) {
        w.blocks = Blocks::none;
        if (wide_) w.dtype = DType::f32;
    } else if (changed(name) && w.layout == WeightLayout::rows) {
        w.blocks = Blocks::none;
        w.dtype = DType::f32;
    }
    PUMICE_TRY(store_->check_binding(*file_, w));
    return w;
}

const Weight& WeightSet::plan(Graph& g, const std::string& name, WeightUse use) {
    static const Weight none;
    if (const auto it = planned_by_name_.find(name); it != planned_by_name_.end()) return planned_[it->second].weight;
    auto weight = planned(name, use);
    if (!weight) {
        g.fail(std::move(weight.error()));
        return none;
    }
    weight->range = {placeholder_, planned_.size() * kMarkBytes, pumice::device_bytes(*weight)};
    planned_by_name_.emplace(name, planned_.size());
    planned_.push_back({name, *std::move(weight)});
    return planned_.back().weight;
}

WeightUses WeightSet::planned_uses(const Graph& g) const {
    WeightUses uses;
    for (const Planned& p : planned_) uses.sizes.push_back(p.weight.range.size);
    for (const Node& node : g.nodes()) {
        auto& of_node = uses.nodes.emplace_back();
        for (const Dispatch& d : node.dispatches)
            for (const Binding& b : d.bindings) {
                const BufferRange& range = g.info(b.tensor).external;
                if (range.buffer != placeholder_) continue;
                const auto number = static_cast<std::uint32_t>(range.offset / kMarkBytes);
                if (std::find(of_node.begin(), of_node.end(), number) == of_node.end()) of_node.push_back(number);
            }
    }
    return uses;
}

std::uint64_t WeightSet::reusable_bytes() const {
    if (!store_) return 0;
    auto free = store_->given_back();
    std::uint64_t sum = 0;
    for (const Planned& p : planned_)
        if (const auto it = free.find(p.weight.range.size); it != free.end()) {
            sum += it->first;
            free.erase(it);
        }
    return sum;
}

StreamSlots WeightSet::slots() const { return ring_ ? ring_->slots : StreamSlots{}; }

/// Memory for the weights that stay, in few buffers, so that what is asked for is what is taken.
Status WeightSet::make_memory(const StreamPlan& plan, std::vector<BufferRange>& ranges) {
    const std::uint64_t alignment = alignment_of(*device_);
    const std::uint64_t most = std::min({kMostPoolBytes, device_->caps().max_allocation_size / 2,
                                         device_->caps().max_buffer_size / 2});
    std::vector<std::uint32_t> waiting;
    std::uint64_t bytes = 0;
    const auto take = [&]() -> Status {
        if (waiting.empty()) return {};
        PUMICE_ASSIGN(const auto pool, device_->allocator().create(bytes, Intent::device, "weights"));
        std::uint64_t offset = 0;
        for (const std::uint32_t w : waiting) {
            ranges[w] = {pool, offset, planned_[w].weight.range.size};
            offset += round_up(ranges[w].size, alignment);
        }
        waiting.clear();
        bytes = 0;
        return {};
    };
    for (const std::uint32_t w : plan.resident) {
        const std::uint64_t size = planned_[w].weight.range.size;
        if (auto again = store_->take_given_back(size)) {
            ranges[w] = *std::move(again);
            continue;
        }
        if (bytes > 0 && bytes + round_up(size, alignment) > most) PUMICE_TRY(take());
        waiting.push_back(w);
        bytes += round_up(size, alignment);
    }
    return take();
}

Status WeightSet::make_ring(const StreamPlan& plan) {
    if (!plan.new_slots && ring_) return {};
    auto ring = std::make_shared<WeightRing>();
    ring->slots = {plan.slots, round_up(plan.slot_bytes, alignment_of(*device_))};
    PUMICE_ASSIGN(ring->buffer, device_->allocator().create(ring->slots.slots * ring->slots.bytes, Intent::device,
                                                            "weights that come and go"));
    if (!ring->buffer->mapped()) {
        PUMICE_ASSIGN(ring->staging, device_->allocator().create(ring->slots.bytes, Intent::upload, "weight staging"));
    }
    ring_ = std::move(ring);
    return {};
}

Status WeightSet::load_to(const std::string& name, const Weight& weight) {
    make_store();
    PUMICE_ASSIGN(const StoredTensor* const t, file_->tensor(prefix_ + name));
    if (!changed(name)) return store_->load_to(*file_, *t, weight);
    PUMICE_ASSIGN(auto patches, adapters_->patches(t->name));
    if (weight.layout == WeightLayout::packed) {
        if (!merger_) merger_ = std::make_unique<WeightMerger>(device_, kernels_);
        return merger_->add(*t, std::move(patches), weight);
    }
    std::vector<float> values(t->elements());
    read_f32(*t, 0, values);
    PUMICE_TRY(merge_on_host(values, t->shape.size() > 1 ? t->shape[1] : 1, patches));
    StoredTensor merged = *t;
    merged.dtype = StoredType::f32;
    merged.data = std::as_bytes(std::span(values));
    return store_->load_to(*file_, merged, weight);
}

/// Reads a weight back in the form the device has it in.
Status WeightSet::keep_on_host(const std::string& name, const Weight& weight) {
    const std::uint64_t size = weight.range.size;
    if (host_bytes_ + size > host_limit_ && !changed(name)) return {};
    std::vector<std::byte> bytes(size);
    PUMICE_TRY(read_range(device_, weight.range, bytes));
    host_bytes_ += size;
    host_.insert_or_assign(name, std::move(bytes));
    return {};
}

/// Gives the tensors of the graph that stand for planned weights their memory: node by node, as a weight may be in
/// several segments.
Status WeightSet::place_all(Graph& g, const StreamPlan& plan, const std::vector<BufferRange>& resident,
                            WeightStream* stream) {
    std::vector<std::map<std::uint32_t, BufferRange>> places;  // by segment
    for (const StreamPlan::Segment& s : plan.segments) {
        WeightStream::Segment& made = stream->segments_.emplace_back();
        made.first_node = s.first_node;
        const std::uint64_t begin = places.size() % plan.slots * ring_->slots.bytes;
        auto& of_segment = places.emplace_back();
        for (const StreamPlan::Place& place : s.places) {
            Weight weight = planned_[place.weight].weight;
            weight.range = {ring_->buffer, begin + place.offset, weight.range.size};
            of_segment.emplace(place.weight, weight.range);
            made.items.push_back({planned_[place.weight].name, std::move(weight)});
        }
    }
    std::size_t segment = 0;
    for (std::uint32_t n = 0; n < g.nodes().size(); ++n) {
        while (segment + 1 < plan.segments.size() && plan.segments[segment + 1].first_node <= n) ++segment;
        for (const Dispatch& d : g.nodes()[n].dispatches)
            for (const Binding& b : d.bindings) {
                const BufferRange& now = g.info(b.tensor).external;
                if (now.buffer != placeholder_) continue;
                const auto number = static_cast<std::uint32_t>(now.offset / kMarkBytes);
                if (resident[number].buffer) g.place(b.tensor, resident[number]);
                else if (segment < places.size() && places[segment].contains(number))
                    g.place(b.tensor, places[segment][number]);
                else return Error{Code::internal, fmt::format("{} is in no segment", planned_[number].name)};
            }
    }
    return {};
}

Result<std::unique_ptr<WeightStream>> WeightSet::bring_all(Graph& g, const StreamPlan& plan) {
    std::vector<BufferRange> resident(planned_.size());
    if (!planned_.empty()) PUMICE_TRY(make_memory(plan, resident));
    for (const std::uint32_t w : plan.resident) {
        Planned& p = planned_[w];
        p.weight.range = resident[w];
        PUMICE_TRY(load_to(p.name, p.weight));
        store_->adopt(p.weight);
        loaded_.insert_or_assign(p.name, p.weight);
    }
    if (merger_) PUMICE_TRY(merger_->flush());
    merger_.reset();
    if (store_) PUMICE_TRY(store_->flush());
    std::unique_ptr<WeightStream> stream;
    if (!plan.segments.empty()) {
        PUMICE_TRY(make_ring(plan));
        stream = std::make_unique<WeightStream>(*this, ring_);
        stream->bytes_ = plan.streamed_bytes;
    }
    PUMICE_TRY(place_all(g, plan, resident, stream.get()));
    // All that fits goes to the host in the device's form now, while there is room for merging.
    for (std::size_t s = 0; stream && s < stream->segments_.size(); ++s) PUMICE_TRY(stream->fill(s));
    return stream;
}

Result<std::unique_ptr<WeightStream>> WeightSet::bring(Graph& g, const StreamPlan& plan) {
    auto stream = bring_all(g, plan);
    forget_planned();
    if (!stream) release();  // what was under way holds nothing of use
    return stream;
}

}  // namespace pumice
