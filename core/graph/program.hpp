// A planned and recorded graph: command buffers made once, submitted as often as wanted.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "graph/graph.hpp"
#include "graph/plan.hpp"
#include "kernels/kernel.hpp"
#include "vulkan/command.hpp"
#include "vulkan/device.hpp"

namespace pumice {

struct NodeTime {
    std::string label;
    std::string module;   ///< of its longest dispatch
    double milliseconds = 0, flops = 0, bytes = 0;
};

/// Brings what the segments of a program read, before each runs. Its memory has as many slots as slots() says: segment
/// i + slots() overwrites what segment i read.
class SegmentFeed {
public:
    virtual ~SegmentFeed() = default;
    virtual std::size_t slots() const = 0;
    /// Fills the slot of a segment; the device is done with what was there. Called in order, one call at a time, on a
    /// thread of its own while the segment before runs.
    virtual Status fill(std::size_t segment) = 0;
};

struct ProgramOptions {
    bool profile = false;            ///< a timestamp after each dispatch, read with Program::times()
    /// The first node of each segment, the first of them 0; empty: all is one segment that nothing is brought for.
    std::vector<std::uint32_t> segments = {};
    SegmentFeed* feed = nullptr;     ///< of the segments; outlives the program
    const char* name = "program";
};

/// Memory for transient tensors; programs that never run at the same time share one.
class Arena {
public:
    /// Grows the pages to at least these sizes. Programs compiled against it hold their pages alive.
    Result<std::vector<std::shared_ptr<Buffer>>> pages(Device&, const std::vector<std::uint64_t>& sizes);
    void release() { pages_.clear(); }
    std::uint64_t bytes() const;
    std::uint64_t page_bytes(std::size_t i) const { return i < pages_.size() && pages_[i] ? pages_[i]->size() : 0; }

private:
    std::vector<std::shared_ptr<Buffer>> pages_;
};

/// The plan of a graph as Program::compile makes it.
Plan plan_for(const Graph&);

class Program {
public:
    static Result<std::unique_ptr<Program>> compile(std::shared_ptr<Device>, KernelCache&, Arena&, const Graph&,
                                                    const ProgramOptions& = {});
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    /// Runs the graph once and waits. Work goes to the device in submissions of about 100 ms, adapted from measured
    /// times, at most two in flight; `cancel` (may be null) is looked at between them: Code::cancelled.
    Status run(const std::atomic<bool>* cancel = nullptr);

    /// Where a tensor lies (external, kept, or the graph's output), for reading back.
    BufferRange range(TensorId) const;

    std::uint64_t arena_bytes() const { return plan_.total(); }
    const Plan& plan() const { return plan_; }
    double flops() const { return flops_; }
    double device_seconds() const { return device_seconds_; }  ///< of the last run, 0 without timestamps
    std::size_t dispatch_count() const { return dispatches_; }
    Result<std::vector<NodeTime>> times();                      ///< of the last run; needs ProgramOptions::profile

private:
    struct Chunk;
    struct Recorder;
    struct Submitting;
    Program() = default;
    Status run_chunks(Submitting&, std::size_t first, std::size_t end);
    Status run_segments(Submitting&);
    std::shared_ptr<Device> device_;
    std::deque<TensorInfo> tensors_;
    Plan plan_;
    std::vector<std::shared_ptr<Buffer>> pages_;
    std::unique_ptr<CommandPool> pool_;
    std::vector<Chunk> chunks_;
    std::vector<std::size_t> segments_;  ///< the first chunk of each
    SegmentFeed* feed_ = nullptr;
    std::vector<VkDescriptorPool> descriptor_pools_;
    Status read_times();
    std::unique_ptr<class Timestamps> stamps_;
    std::uint32_t stamp_count_ = 0;
    bool profiled_ = false;                                     ///< a timestamp after each dispatch
    std::shared_ptr<Profile> profile_;                          ///< who is told of runs, or null
    std::shared_ptr<const ProfiledProgram> description_;        ///< for it, and for times()
    std::vector<ProfiledRun::Span> spans_;                      ///< of the last run's dispatches
    std::vector<std::size_t> node_ends_;                        ///< where the dispatches of a node end in spans_
    std::vector<NodeTime> nodes_;
    double flops_ = 0, device_seconds_ = 0;
    std::size_t dispatches_ = 0;
    std::string name_;
};

}  // namespace pumice
