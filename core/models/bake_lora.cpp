#include "models/bake_lora.hpp"

#include <algorithm>
#include <utility>

#include "adapters/host_merge.hpp"

namespace pumice {
namespace {

/// A tensor of the model with the adapters in it, made when its first element is asked for and given up after its last.
class BakedTensor {
public:
    BakedTensor(const OutputTensor& from, std::shared_ptr<const AdapterSet> adapters)
        : from_(from), adapters_(std::move(adapters)) {}

    Status read(std::uint64_t first, std::span<float> to) {
        if (values_.empty()) PUMICE_TRY(make());
        std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(first), to.size(), to.begin());
        if (first + to.size() == values_.size()) values_ = {};
        return {};
    }

private:
    Status make() {
        PUMICE_ASSIGN(const auto patches, adapters_->patches(from_.name));
        std::vector<float> values(from_.element_count());
        PUMICE_TRY(from_.elements(0, values));
        const std::uint64_t rows = from_.shape.empty() ? 1 : from_.shape[0];
        for (const AdapterPatch& patch : patches) merge_weight_on_host(values, values.size() / rows, patch);
        values_ = std::move(values);
        return {};
    }

    OutputTensor from_;
    std::shared_ptr<const AdapterSet> adapters_;
    std::vector<float> values_{};
};

}  // namespace

std::size_t bake_adapters(OutputModel& model, std::shared_ptr<const AdapterSet> adapters) {
    std::size_t changed = 0;
    for (OutputTensor& t : model.tensors) {
        if (!is_float(t.dtype) || t.element_count() == 0 || !adapters->changes(t.name)) continue;
        auto baked = std::make_shared<BakedTensor>(t, adapters);
        t = made(t.name, t.dtype, t.shape,
                 [baked](std::uint64_t first, std::span<float> to) { return baked->read(first, to); });
        ++changed;
    }
    return changed;
}

}  // namespace pumice
