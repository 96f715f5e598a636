// Merges adapters into weights, on the device.
#pragma once

#include <memory>
#include <vector>

#include "adapters/adapter_patch.hpp"
#include "graph/weight.hpp"
#include "kernels/kernel.hpp"
#include "vulkan/device.hpp"

namespace pumice {

/// Each weight is read from its file as f32, changed by one adapter after the other, and rounded once to the type it
/// has on the device. Weights are taken together until their f32 forms fill some memory. Not thread-safe.
class WeightMerger {
public:
    WeightMerger(std::shared_ptr<Device>, std::shared_ptr<KernelCache>);
    ~WeightMerger();

    /// Queues a packed weight, whose memory `to` has; it holds the merged values after flush(). The tensor's data is
    /// read here. Code::missing_feature for one that is larger in f32 than the device binds; memory and device errors.
    Status add(const StoredTensor&, std::vector<AdapterPatch>, const Weight& to);
    Status flush();

private:
    struct Job;
    std::shared_ptr<Device> device_;
    std::shared_ptr<KernelCache> kernels_;
    std::vector<Job> jobs_;
    std::uint64_t queued_ = 0;  ///< bytes
};

/// The same for a vector or a table, on the host: only full differences and scaled rows can change one.
Status merge_on_host(std::vector<float>& values, std::uint64_t columns, const std::vector<AdapterPatch>&);

}  // namespace pumice
