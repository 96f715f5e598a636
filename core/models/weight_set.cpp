#include "models/weight_set.hpp"

namespace pumice {

WeightSet::WeightSet(std::shared_ptr<Device> device, std::shared_ptr<KernelCache> kernels, const WeightFile& file,
                     std::string prefix)
    : device_(std::move(device)), kernels_(std::move(kernels)), file_(&file), prefix_(std::move(prefix)) {}

bool WeightSet::has(const std::string& name) const {
    return file_->find(prefix_ + name) != nullptr;
}

bool WeightSet::has_prefix(const std::string& prefix) const {
    return file_->has_prefix(prefix_ + prefix);
}

const Weight& WeightSet::load(Graph& g, const std::string& name, WeightUse use) {
    static const Weight none;
    if (g.error()) return none;
    if (const auto it = loaded_.find(name); it != loaded_.end()) return it->second;
    if (!store_) store_ = std::make_unique<WeightStore>(device_, kernels_);
    auto weight = store_->load(*file_, prefix_ + name, use);
    if (!weight) {
        g.fail(std::move(weight.error()));
        return none;
    }
    return loaded_.emplace(name, *std::move(weight)).first->second;
}

const Weight& WeightSet::linear(Graph& g, const std::string& name) {
    return load(g, name, WeightUse::conv);
}  // may be stored as a 1x1 convolution
const Weight& WeightSet::conv(Graph& g, const std::string& name) {
    return load(g, name, WeightUse::conv);
}
const Weight& WeightSet::geglu(Graph& g, const std::string& name) {
    return load(g, name, WeightUse::geglu);
}
const Weight& WeightSet::vector(Graph& g, const std::string& name) {
    return load(g, name, WeightUse::vector);
}
const Weight& WeightSet::table(Graph& g, const std::string& name) {
    return load(g, name, WeightUse::table);
}

const Weight* WeightSet::bias(Graph& g, const std::string& name) {
    return has(name) ? &load(g, name, WeightUse::vector) : nullptr;
}
const Weight* WeightSet::geglu_bias(Graph& g, const std::string& name) {
    return has(name) ? &load(g, name, WeightUse::geglu_vector) : nullptr;
}

Result<std::vector<float>> WeightSet::values(const std::string& name) const {
    return host_values(*file_, prefix_ + name);
}

Status WeightSet::flush() {
    return store_ ? store_->flush() : Status{};
}

void WeightSet::release() {
    loaded_.clear();
    store_.reset();
}

std::uint64_t WeightSet::file_bytes() const {
    std::uint64_t sum = 0;
    for (const StoredTensor& tensor : file_->with_prefix(prefix_)) {
        const bool widened = is_quantized(tensor.dtype) || size_of(tensor.dtype) < 2;  // to f16
        sum += widened ? 2 * tensor.elements() : tensor.data.size();
    }
    return sum;
}

std::uint64_t WeightSet::device_bytes() const {
    return store_ ? store_->bytes_on_device() : 0;
}

}  // namespace pumice
