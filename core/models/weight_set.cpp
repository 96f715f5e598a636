#include "models/weight_set.hpp"

#include <unistd.h>

#include <algorithm>
#include <iterator>

namespace pumice {

WeightSet::WeightSet(std::shared_ptr<Device> device, std::shared_ptr<KernelCache> kernels, const WeightFile& file,
                     std::string prefix)
    : device_(std::move(device)),
      kernels_(std::move(kernels)),
      file_(&file),
      prefix_(std::move(prefix)),
      host_limit_(std::uint64_t(std::max(0L, sysconf(_SC_PHYS_PAGES))) * std::uint64_t(sysconf(_SC_PAGESIZE)) / 2) {}

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
    if (planning_) return plan(g, name, use);
    auto weight = load(name, use);
    if (!weight) {
        g.fail(std::move(weight.error()));
        return none;
    }
    return loaded_.emplace(name, *std::move(weight)).first->second;
}

/// Its blocks are small where there is little memory, so that little of it stays unused.
void WeightSet::make_store() {
    if (store_) return;
    WeightStoreOptions options;
    options.block_bytes = std::clamp(device_->allocator().device_bytes_free() / 64, std::uint64_t(64) << 10,
                                     options.block_bytes);
    store_ = std::make_unique<WeightStore>(device_, kernels_, options);
}

Result<Weight> WeightSet::load(const std::string& name, WeightUse use) {
    make_store();
    if (!adapters_ || !adapters_->changes(prefix_ + name)) return store_->load(*file_, prefix_ + name, use);
    PUMICE_ASSIGN(const StoredTensor* const t, file_->tensor(prefix_ + name));
    return load_merged(*t, use);
}

Result<Weight> WeightSet::load_merged(const StoredTensor& t, WeightUse use) {
    PUMICE_ASSIGN(auto patches, adapters_->patches(t.name));
    PUMICE_ASSIGN(const Weight planned, planned_weight(t, use));
    if (planned.layout == WeightLayout::packed) {
        PUMICE_ASSIGN(Weight weight, store_->place(*file_, t, use, wide_));
        if (!merger_) merger_ = std::make_unique<WeightMerger>(device_, kernels_);
        PUMICE_TRY(merger_->add(t, std::move(patches), weight));
        return weight;
    }
    std::vector<float> values(t.elements());
    read_f32(t, 0, values);
    PUMICE_TRY(merge_on_host(values, t.shape.size() > 1 ? t.shape[1] : 1, patches));
    StoredTensor merged = t;
    merged.dtype = StoredType::f32;
    merged.data = std::as_bytes(std::span(values));
    return store_->load(*file_, merged, use);
}

void WeightSet::set_adapters(std::shared_ptr<const AdapterSet> adapters, bool wide) {
    const bool same = adapters_ && adapters ? *adapters_ == *adapters && wide_ == wide : adapters_ == adapters;
    if (same) return;
    for (auto it = loaded_.begin(); it != loaded_.end();) {
        const std::string name = prefix_ + it->first;
        const bool changed = (adapters_ && adapters_->changes(name)) || (adapters && adapters->changes(name));
        if (changed) store_->give_back(it->second);
        it = changed ? loaded_.erase(it) : std::next(it);
    }
    for (auto it = host_.begin(); it != host_.end();) {
        const std::string name = prefix_ + it->first;
        const bool changed = (adapters_ && adapters_->changes(name)) || (adapters && adapters->changes(name));
        if (changed) host_bytes_ -= it->second.size();
        it = changed ? host_.erase(it) : std::next(it);
    }
    ring_.reset();  // what is in its slots may be of the adapters before
    adapters_ = std::move(adapters);
    wide_ = wide;
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
    Status status = merger_ ? merger_->flush() : Status{};
    merger_.reset();
    if (store_)
        if (Status stored = store_->flush(); status && !stored) status = std::move(stored);
    if (!status) release();  // what was under way holds nothing of use
    return status;
}

void WeightSet::release() {
    loaded_.clear();
    merger_.reset();
    store_.reset();
    ring_.reset();
}

std::uint64_t WeightSet::file_bytes() const {
    std::uint64_t sum = 0;
    for (const StoredTensor& tensor : file_->with_prefix(prefix_)) {
        // Matrices of blocks stay as they are; a table of them, which a text encoder has one of, does not.
        const bool stays = is_quantized(tensor.dtype) ? tensor.shape.size() == 2 : size_of(tensor.dtype) >= 2;
        sum += stays ? tensor.data.size() : 2 * tensor.elements();
    }
    return sum;
}

std::uint64_t WeightSet::device_bytes() const {
    return store_ ? store_->bytes_on_device() : 0;
}

}  // namespace pumice
