// Weights that come and go while a program runs.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "graph/program.hpp"
#include "models/weight_set.hpp"

namespace pumice {

/// Device memory that the streams over a set of weights share: their programs run one after the other.
struct WeightRing {
    std::shared_ptr<Buffer> buffer;
    std::shared_ptr<Buffer> staging;  ///< a slot, where the host does not see the buffer
    StreamSlots slots;
    struct Content {
        const void* stream = nullptr;
        std::size_t segment = 0;
    };
    std::array<Content, 2> contents{};
};

class WeightStream final : public SegmentFeed {
public:
    WeightStream(WeightSet& set, std::shared_ptr<WeightRing> ring) : set_(set), ring_(std::move(ring)) {}
    ~WeightStream() override;

    std::size_t slots() const override { return ring_->slots.slots; }
    /// From the host's copies in the device's form where there are any, else from the file.
    Status fill(std::size_t segment) override;

    std::vector<std::uint32_t> first_nodes() const;
    std::size_t segment_count() const { return segments_.size(); }
    std::uint64_t streamed_bytes() const { return bytes_; }  ///< by one run

private:
    friend class WeightSet;
    struct Item {
        std::string name;
        Weight weight;  ///< with its place in the ring
    };
    struct Segment {
        std::uint32_t first_node = 0;
        std::vector<Item> items;
    };
    Status fill_items(const std::vector<Item>&, std::uint64_t slot_begin);

    WeightSet& set_;
    std::shared_ptr<WeightRing> ring_;
    std::vector<Segment> segments_;
    std::uint64_t bytes_ = 0;
};

}  // namespace pumice
