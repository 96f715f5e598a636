// What of a model adapters can change, by all the names they have for it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "weights/weight_file.hpp"

namespace pumice {

/// Rows of a tensor of the model, and of its bias if it has one. OpenCLIP keeps the projections of query, key and value
/// in one tensor, of which an adapter changes a third.
struct AdapterTarget {
    const StoredTensor* weight = nullptr;
    const StoredTensor* bias = nullptr;
    std::uint32_t row0 = 0, rows = 0;
    bool text = false;  ///< of a text encoder

    /// Elements of a row: input channels times the taps of a convolution; 1 of a norm's vector.
    std::uint64_t columns() const;
    std::uint64_t taps() const;
    std::uint64_t channels() const { return columns() / taps(); }
};

/// Made of the names and shapes of a checkpoint's tensors (SD 1, 2 and XL of any geometry): the UNet's modules under
/// the names of the original and of diffusers, the text encoders' under those of transformers.
class AdapterTargets {
public:
    explicit AdapterTargets(const WeightFile& model);

    /// By AdapterKey::module; null if there is none.
    const AdapterTarget* find(const std::string& module) const;
    std::size_t size() const { return by_module_.size(); }
    /// All of them; a tensor may stand under several names.
    const std::map<std::string, AdapterTarget>& modules() const { return by_module_; }
    /// Channels that cross-attention looks at, 0 if there is none: tells the families apart.
    std::uint64_t context_channels() const { return context_channels_; }
    const WeightFile& model() const { return model_; }

private:
    void add_unet();
    void add_text(const std::string& prefix, const std::vector<std::string>& networks);
    void add_open_clip(const std::string& prefix, const std::vector<std::string>& networks);
    void add(const std::string& module, AdapterTarget);

    WeightFile model_;
    std::map<std::string, AdapterTarget> by_module_;
    std::uint64_t context_channels_ = 0;
};

}  // namespace pumice
