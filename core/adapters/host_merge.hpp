// Adapters merged into weights on the host: what writes a model with them in it.
#pragma once

#include <cstdint>
#include <vector>

#include "adapters/adapter_patch.hpp"

namespace pumice {

/// Changes a weight of `columns` elements a row, in the file's order, as shaders/merge.comp does: the same formulas,
/// the same order of every sum, so the same bits.
void merge_weight_on_host(std::vector<float>& weight, std::uint64_t columns, const AdapterPatch&);

}  // namespace pumice
