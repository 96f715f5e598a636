#include "models/weight_check.hpp"

#include <algorithm>
#include <cmath>

#include "models/configs.hpp"

namespace pumice {
namespace {

constexpr std::uint64_t kPiece = std::uint64_t(1) << 20;  // elements; a multiple of every block

Result<WeightCheck::NotFinite> check_tensor(const WeightFile& file, const StoredTensor& t, std::vector<float>& values,
                                            const OnWritten& on_read) {
    WeightCheck::NotFinite found{t.name, 0, 0, t.elements()};
    const OutputTensor tensor = copied(file, t);  // reads, and gives the pages back
    for (std::uint64_t first = 0; first < found.elements; first += kPiece) {
        values.resize(static_cast<std::size_t>(std::min(kPiece, found.elements - first)));
        PUMICE_TRY(tensor.elements(first, values));
        for (const float v : values) {
            found.nans += std::isnan(v) ? 1 : 0;
            found.infinities += std::isinf(v) ? 1 : 0;
        }
        if (on_read) PUMICE_TRY(on_read(values.size() / block_elements(t.dtype) * size_of(t.dtype)));
    }
    return found;
}

}  // namespace

Result<WeightCheck> check_weights(const WeightFile& file, const OnWritten& on_read) {
    WeightCheck check;
    std::vector<float> values;
    for (const StoredTensor& t : file.tensors()) {
        if (!is_float(t.dtype)) continue;
        PUMICE_ASSIGN(WeightCheck::NotFinite found, check_tensor(file, t, values, on_read));
        if (found.nans + found.infinities > 0) check.not_finite.push_back(std::move(found));
    }
    if (runs(recognize(file)))
        if (const auto config = model_config(file); !config && config.error().code == Code::bad_format) {
            check.incomplete = config.error().message;
            if (const std::string where = file.path() + ": "; check.incomplete.starts_with(where))
                check.incomplete.erase(0, where.size());
        }
    return check;
}

}  // namespace pumice
