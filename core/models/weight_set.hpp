// The weights of one network, by the checkpoint's own names under a prefix; each goes to the device when a graph first
// asks for it and stays there for the next graph.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/adapter.hpp"
#include "adapters/weight_merger.hpp"
#include "graph/graph.hpp"
#include "graph/stream_plan.hpp"
#include "graph/weight.hpp"
#include "weights/upload.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

class WeightStream;

class WeightSet {
public:
    /// `prefix` ends with a dot ("model.diffusion_model."). The file outlives the set.
    WeightSet(std::shared_ptr<Device>, std::shared_ptr<KernelCache>, const WeightFile& file, std::string prefix);

    bool has(const std::string& name) const;
    bool has_prefix(const std::string& prefix) const;

    // Each records an error in the graph and returns an empty weight when the tensor is missing or does not load.
    const Weight& linear(Graph&, const std::string& name);  ///< [n][k], or a 1x1 convolution
    const Weight& conv(Graph&, const std::string& name);
    const Weight& geglu(Graph&, const std::string& name);
    const Weight& vector(Graph&, const std::string& name);
    const Weight& table(Graph&, const std::string& name);
    const Weight* bias(Graph&, const std::string& name);  ///< null when the layer has none
    const Weight* geglu_bias(Graph&, const std::string& name);

    /// A tensor's elements on the host; see host_values.
    Result<std::vector<float>> values(const std::string& name) const;

    /// Waits until everything asked for is on the device.
    Status flush();
    // ---- In two steps, for programs under a limit of memory ----
    /// From here until bring() or forget_planned(), weights that are not on the device get a placeholder for memory: the
    /// graph can be looked at before anything is taken.
    void begin_planning();
    /// The planned weights by number, and the nodes of the graph that read them.
    WeightUses planned_uses(const Graph&) const;
    /// Bytes of planned weights for which memory of the right size was given back.
    std::uint64_t reusable_bytes() const;
    /// Slots that streams over these weights share.
    StreamSlots slots() const;
    /// Loads the planned weights that stay, and gives all their memory to the graph. What comes and goes is what the
    /// stream brings, which is null where all stay. The set outlives the stream.
    Result<std::unique_ptr<WeightStream>> bring(Graph&, const StreamPlan&);
    void forget_planned();
    /// Host memory that may be taken for weights in the form that streams bring; those beyond are converted from the file
    /// each time. Those with adapters merged in are kept anyway.
    void set_host_limit(std::uint64_t bytes) { host_limit_ = bytes; }
    std::uint64_t host_bytes() const { return host_bytes_; }
    void forget_host() {
        host_.clear();
        host_bytes_ = 0;
    }

    /// Frees the device's copies; the next graph uploads again. No program that uses them may be run after.
    void release();
    std::uint64_t file_bytes() const;  ///< of all tensors under the prefix
    std::uint64_t device_bytes() const;

    /// From the next graph on, the tensors that the adapters change have them merged in; those that the adapters before
    /// changed are read again from the file, so nothing is left of them. `wide`: merged weights are f32, else of the
    /// type they have without. No program made before may be run after, unless the adapters are the same.
    void set_adapters(std::shared_ptr<const AdapterSet>, bool wide);
    /// The weights on the device, by name without the prefix.
    const std::map<std::string, Weight>& loaded() const { return loaded_; }

private:
    friend class WeightStream;
    void make_store();
    struct Planned {
        std::string name;
        Weight weight;
    };
    const Weight& plan(Graph&, const std::string& name, WeightUse use);
    Result<Weight> planned(const std::string& name, WeightUse use);
    bool changed(const std::string& name) const;
    Result<std::unique_ptr<WeightStream>> bring_all(Graph&, const StreamPlan&);
    Status place_all(Graph&, const StreamPlan&, const std::vector<BufferRange>& resident, WeightStream*);
    Status make_memory(const StreamPlan&, std::vector<BufferRange>& ranges);
    Status make_ring(const StreamPlan&);
    /// Queues a weight from the file, or from there and the adapters.
    Status load_to(const std::string& name, const Weight&);
    Status keep_on_host(const std::string& name, const Weight&);

    const Weight& load(Graph&, const std::string& name, WeightUse use);
    Result<Weight> load(const std::string& name, WeightUse use);
    Result<Weight> load_merged(const StoredTensor&, WeightUse use);

    std::shared_ptr<Device> device_;
    std::shared_ptr<KernelCache> kernels_;
    const WeightFile* file_;
    std::string prefix_;
    std::unique_ptr<WeightStore> store_;
    std::map<std::string, Weight> loaded_;
    std::shared_ptr<const AdapterSet> adapters_;  ///< null: none
    bool wide_ = false;
    std::unique_ptr<WeightMerger> merger_;

    bool planning_ = false;
    std::shared_ptr<Buffer> placeholder_ = Buffer::placeholder();
    std::deque<Planned> planned_;  // references stay valid while a graph is built
    std::map<std::string, std::size_t> planned_by_name_;
    std::shared_ptr<struct WeightRing> ring_;
    std::map<std::string, std::vector<std::byte>> host_;  ///< in the device's form
    std::uint64_t host_limit_, host_bytes_ = 0;
};

}  // namespace pumice
