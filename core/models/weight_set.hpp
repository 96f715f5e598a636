// The weights of one network, by the checkpoint's own names under a prefix; each goes to the device when a graph first
// asks for it and stays there for the next graph.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/adapter.hpp"
#include "adapters/weight_merger.hpp"
#include "graph/graph.hpp"
#include "graph/weight.hpp"
#include "weights/upload.hpp"
#include "weights/weight_file.hpp"

namespace pumice {

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
};

}  // namespace pumice
