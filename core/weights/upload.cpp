#include "weights/upload.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <system_error>

#include <fmt/format.h>

#include "base/half.hpp"
#include "ops/ops.hpp"
#include "vulkan/command.hpp"

namespace pumice {
namespace {

// A tensor of this part of a block or more has a buffer of its own, so that little of a block stays unused.
constexpr std::uint64_t kOwnBufferPart = 8;
constexpr std::uint64_t kFirstBlock = std::uint64_t(1) << 20;  // a small model takes no full block

constexpr std::uint64_t round_up(std::uint64_t n, std::uint64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

/// The element of a vector in the file that stands at place i on the device (graph/weight.hpp: v0 v1 g0 g1 | …).
std::uint64_t vector_source(const Weight& w, std::uint64_t i) {
    if (!w.geglu) return i;
    return i / 4 * 2 + i % 2 + (i % 4 < 2 ? 0 : w.n / 2);
}

void fill_vector(const StoredTensor& t, const Weight& w, std::byte* to, std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t i = begin / 4; i < end / 4; ++i) {
        float value = 0;
        if (i < w.n) read_f32(t, vector_source(w, i), {&value, 1});
        std::memcpy(to + (i * 4 - begin), &value, 4);
    }
}

/// Whether a tensor's bytes are those of the weight.
bool is_as_stored(const StoredTensor& t, const Weight& w) {
    return size_of(t.dtype) == size_of(w.dtype) && !is_quantized(t.dtype);
}

/// The file's bytes, or its elements in the weight's type.
void fill_plain(const StoredTensor& t, const Weight& w, std::byte* to, std::uint64_t begin, std::uint64_t end) {
    if (is_as_stored(t, w)) {
        std::memcpy(to, t.data.data() + begin, end - begin);
        return;
    }
    std::array<float, 1024> values;
    const std::uint64_t size = size_of(w.dtype), last = end / size;
    for (std::uint64_t i = begin / size; i < last;) {
        const std::span<float> now(values.data(), std::min<std::uint64_t>(values.size(), last - i));
        read_f32(t, i, now);
        for (const float value : now) {
            const std::uint16_t half = f32_to_f16(value);
            std::memcpy(to + (i * size - begin), size == 4 ? static_cast<const void*>(&value) : &half, size);
            ++i;
        }
    }
}

/// The bytes of the file that elements [begin, end) of a tensor come from, no neighbour's block among them.
std::span<const std::byte> source_bytes(const StoredTensor& t, std::uint64_t begin, std::uint64_t end) {
    const std::uint64_t block = block_elements(t.dtype), bytes = size_of(t.dtype);
    const std::uint64_t from = begin / block * bytes, to = end / block * bytes;
    return t.data.subspan(from, to - from);
}

}  // namespace

Result<std::vector<float>> host_values(const WeightFile& file, std::string_view name) {
    PUMICE_ASSIGN(const StoredTensor* const t, file.tensor(name));
    // Only to have its type judged as every weight's is.
    StoredTensor flat = *t;
    flat.shape = {t->elements()};
    if (auto planned = planned_weight(flat, WeightUse::vector); !planned)
        return Error{planned.error().code, file.path() + ": " + planned.error().message};
    std::vector<float> values(t->elements());
    read_f32(*t, 0, values);
    return values;
}

/// A staging buffer and what is to happen with its contents.
struct WeightStore::Slot {
    struct Repack {
        Weight weight;
        std::uint64_t offset, bytes;  // in the buffer
        std::uint32_t row, rows;
    };
    struct Copy {
        BufferRange to;
        std::uint64_t offset;  // in the buffer; to.size bytes
    };
    std::shared_ptr<Buffer> buffer;
    std::uint64_t begin = 0, end = 0;  // of this slot in the buffer
    std::uint64_t used = 0;            // from `begin`
    std::vector<Repack> repacks;
    std::vector<Copy> copies;

    std::uint64_t place() const { return begin + used; }
    std::byte* mapped() const { return buffer->mapped() + place(); }
    bool empty() const { return repacks.empty() && copies.empty(); }
    Status run(const std::shared_ptr<Device>&, KernelCache&, Arena&);
    void clear() {
        used = 0;
        repacks.clear();
        copies.clear();
    }
};

/// Copies and repacks on the device, and waits.
Status WeightStore::Slot::run(const std::shared_ptr<Device>& device, KernelCache& kernels, Arena& arena) {
    PUMICE_TRY(buffer->flush(begin, used));
    if (!copies.empty())
        PUMICE_TRY(run_commands(device, [&](VkCommandBuffer commands) {
            for (const Copy& c : copies) {
                const VkBufferCopy region{c.offset, c.to.offset, c.to.size};
                vkCmdCopyBuffer(commands, buffer->handle(), c.to.buffer->handle(), 1, &region);
            }
        }));
    if (repacks.empty()) return {};
    Graph graph(device->caps(), Precision::exact, device->assumed_gflops());
    for (const Repack& r : repacks) {
        // As 32-bit words: the shader takes them apart by the element type.
        const Shape words{1, 1, 1, static_cast<std::uint32_t>(round_up(r.bytes, 16) / 4)};
        const TensorId source =
            graph.external(words, DType::i32, {buffer, r.offset, std::uint64_t(words.c) * 4}, "staging");
        ops::repack(graph, source, r.weight.dtype, r.weight, r.row, r.rows);
    }
    PUMICE_ASSIGN(const auto program, Program::compile(device, kernels, arena, graph, {.name = "weight upload"}));
    return program->run();
}

WeightStore::WeightStore(std::shared_ptr<Device> device, std::shared_ptr<KernelCache> kernels,
                         const WeightStoreOptions& options)
    : device_(std::move(device)),
      kernels_(std::move(kernels)),
      options_(options),
      alignment_(std::max<std::uint64_t>(256, device_->caps().storage_offset_alignment)) {}

WeightStore::~WeightStore() {
    (void)wait_in_flight();
}  // an error of work that nobody flushed concerns nobody

Result<BufferRange> WeightStore::allocate(std::uint64_t size) {
    const std::uint64_t room = round_up(size, 16);  // kernels read 16 bytes at a time
    if (room >= options_.block_bytes / kOwnBufferPart) {
        PUMICE_ASSIGN(auto buffer, device_->allocator().create(room, Intent::device, "weights"));
        return BufferRange{std::move(buffer), 0, size};
    }
    std::uint64_t offset = round_up(block_used_, alignment_);
    if (!block_ || offset + room > block_->size()) {
        const std::uint64_t wanted = block_ ? block_->size() * 2 : kFirstBlock;
        const std::uint64_t block = std::max(room, std::min(wanted, options_.block_bytes));
        PUMICE_ASSIGN(block_, device_->allocator().create(block, Intent::device, "weights"));
        offset = 0;
    }
    block_used_ = offset + room;
    return BufferRange{block_, offset, size};
}

/// Both slots in one buffer: large enough for a memory allocation of its own, which is given back after the upload.
Status WeightStore::make_slots() {
    const std::uint64_t size = round_up(options_.slot_bytes, alignment_);
    PUMICE_ASSIGN(const auto buffer, device_->allocator().create(2 * size, Intent::upload, "weight staging"));
    for (std::uint64_t i = 0; i < 2; ++i) {
        slots_[i] = std::make_unique<Slot>();
        slots_[i]->buffer = buffer;
        slots_[i]->begin = i * size;
        slots_[i]->end = slots_[i]->begin + options_.slot_bytes;
    }
    return {};
}

Result<WeightStore::Slot*> WeightStore::slot_with_room(std::uint64_t size) {
    if (!slots_[0]) PUMICE_TRY(make_slots());
    const auto aligned = [&](const Slot& slot) { return round_up(slot.used, alignment_); };
    if (slots_[filling_]->begin + aligned(*slots_[filling_]) + size > slots_[filling_]->end) PUMICE_TRY(submit_slot());
    Slot& slot = *slots_[filling_];
    slot.used = aligned(slot);
    return &slot;
}

/// Sends the slot being filled on its way and turns to the other one.
Status WeightStore::submit_slot() {
    PUMICE_TRY(wait_in_flight());
    Slot* const slot = slots_[filling_].get();
    if (!slot || slot->empty()) return {};
    filling_ ^= 1;
    const auto work = [this, slot] {
        Status status = slot->run(device_, *kernels_, arena_);
        slot->clear();
        return status;
    };
    try {
        in_flight_ = std::async(std::launch::async, work);
    } catch (const std::system_error&) {  // no thread to be had: then one after the other
        return work();
    }
    return {};
}

Status WeightStore::wait_in_flight() {
    if (!in_flight_.valid()) return {};
    return in_flight_.get();
}

Status WeightStore::flush() {
    Status status = submit_slot();
    if (Status last = wait_in_flight(); status && !last) status = std::move(last);
    for (auto& slot : slots_) slot.reset();
    arena_.release();
    return status;
}

Status WeightStore::load_packed(const Weight& w, std::uint64_t row_bytes, const Fill& fill) {
    const std::uint64_t most = (options_.slot_bytes - 16) / row_bytes;
    if (most == 0)
        return Error{Code::unsupported,
                     fmt::format("tensor '{}' has rows of {} bytes, more than a staging buffer of {}",
                                 printable(w.name), row_bytes, options_.slot_bytes)};
    for (std::uint32_t row = 0; row < w.n;) {
        const auto rows = static_cast<std::uint32_t>(std::min<std::uint64_t>(most, w.n - row));
        PUMICE_ASSIGN(Slot* const slot, slot_with_room(round_up(rows * row_bytes, 16)));
        fill(slot->mapped(), row * row_bytes, (row + std::uint64_t(rows)) * row_bytes);
        slot->repacks.push_back({w, slot->place(), rows * row_bytes, row, rows});
        slot->used += round_up(rows * row_bytes, 16);
        row += rows;
    }
    return {};
}

Status WeightStore::load_plain(const Weight& w, std::uint64_t size, const Fill& fill) {
    std::byte* const mapped = w.range.buffer->mapped();
    // In pieces in either case, so that pages of the file are given back on the way.
    for (std::uint64_t begin = 0; begin < size;) {
        const std::uint64_t end = std::min(size, begin + options_.slot_bytes);
        if (mapped) {
            fill(mapped + w.range.offset + begin, begin, end);
        } else {
            PUMICE_ASSIGN(Slot* const slot, slot_with_room(end - begin));
            fill(slot->mapped(), begin, end);
            slot->copies.push_back({{w.range.buffer, w.range.offset + begin, end - begin}, slot->place()});
            slot->used += end - begin;
        }
        begin = end;
    }
    return mapped ? w.range.buffer->flush(w.range.offset, size) : Status{};
}

Result<Weight> WeightStore::planned(const WeightFile& file, const StoredTensor& t, WeightUse use) const {
    auto made = planned_weight(t, use);
    if (!made) return Error{made.error().code, file.path() + ": " + made.error().message};
    return made;
}

Result<Weight> WeightStore::place(const WeightFile& file, const StoredTensor& t, WeightUse use, bool wide) {
    PUMICE_ASSIGN(Weight w, planned(file, t, use));
    w.blocks = Blocks::none;
    if (wide) w.dtype = DType::f32;
    return place(file, std::move(w));
}

Status WeightStore::check_binding(const WeightFile& file, const Weight& w) const {
    const std::uint64_t size = device_bytes(w), limit = device_->caps().max_storage_buffer_range;
    if (w.layout != WeightLayout::rows && size > limit)
        return Error{Code::missing_feature,
                     fmt::format("{}: tensor '{}' takes {} bytes, but the device binds at most {}", file.path(),
                                 printable(w.name), size, limit)};
    return {};
}

Result<Weight> WeightStore::place(const WeightFile& file, Weight w) {
    PUMICE_TRY(check_binding(file, w));
    const std::uint64_t size = device_bytes(w);
    if (auto range = take_given_back(size)) {
        w.range = *std::move(range);
    } else {
        PUMICE_ASSIGN(w.range, allocate(size));
    }
    bytes_ += size;
    return w;
}

void WeightStore::give_back(const Weight& w) {
    bytes_ -= w.range.size;
    free_.emplace(w.range.size, w.range);
}

Result<Weight> WeightStore::load(const WeightFile& file, std::string_view name, WeightUse use) {
    PUMICE_ASSIGN(const StoredTensor* const t, file.tensor(name));
    return load(file, *t, use);
}

Result<Weight> WeightStore::load(const WeightFile& file, const StoredTensor& t, WeightUse use) {
    PUMICE_ASSIGN(Weight w, planned(file, t, use));
    PUMICE_ASSIGN(w, place(file, std::move(w)));
    PUMICE_TRY(load_to(file, t, w));
    return w;
}

Status WeightStore::load_to(const WeightFile& file, const StoredTensor& t, const Weight& w) {
    file.will_need(t.data);
    const std::uint64_t staged = size_of(w.dtype), size = w.range.size;
    const Fill fill = [&](std::byte* to, std::uint64_t begin, std::uint64_t end) {
        if (w.layout == WeightLayout::vector) {
            fill_vector(t, w, to, begin, end);
            if (end == size) file.done_with(t.data);
        } else if (w.blocks != Blocks::none) {
            std::memcpy(to, t.data.data() + begin, end - begin);
            file.done_with(t.data.subspan(begin, end - begin));
        } else {
            fill_plain(t, w, to, begin, end);
            file.done_with(source_bytes(t, begin / staged, end / staged));
        }
    };
    if (w.layout == WeightLayout::packed && w.blocks == Blocks::none)
        return load_packed(w, std::uint64_t(w.k) * w.taps() * staged, fill);
    return load_plain(w, size, fill);
}

std::optional<BufferRange> WeightStore::take_given_back(std::uint64_t size) {
    const auto it = free_.find(size);
    if (it == free_.end()) return std::nullopt;
    BufferRange range = std::move(it->second);
    free_.erase(it);
    return range;
}

}  // namespace pumice
