// What an adapter's tensors for one module say, as the factors of one change to a weight.
//
// W [n, m = k * taps] gets factor * strength * delta added, with factor = alpha / rank, 1 where alpha is absent.
//   LoRA (Hu et al. 2021, arXiv 2106.09685)   delta = up [n, r] down [r, m]; LoCon's down is a convolution; with mid
//                                             [r, r', taps] the down is mid contracted with down [r', k]
//   LoHa (LyCORIS; FedPara, arXiv 2108.06098) delta = (w1_a w1_b) ∘ (w2_a w2_b); with t1, t2 [r, r, taps] in Tucker
//   form:
//                                             w_a [r, n], w_b [r, k], each side sum over i, j of t[i, j] w_a[i] w_b[j]
//   LoKr (LyCORIS; KronA, arXiv 2212.10650)   delta = w1 ⊗ w2, each whole or as w_a w_b, w2 also in Tucker form; the
//   rank
//                                             is w2's if it is factored, else w1's; alpha counts only where one is
//   IA3 (Liu et al. 2022, arXiv 2205.05638)   delta = W scaled by a vector, of rows or (on_input) of input channels
//   full difference                           delta as it is; of biases and norms too (diff, diff_b, w_norm, b_norm)
//   DoRA (dora_scale beside the first three)  W goes towards (W + factor * delta) * dora_scale / length, as ComfyUI and
//                                             forge do: lengths of W's rows, or of the input channels of W + factor *
//                                             delta
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "adapters/adapter_keys.hpp"
#include "adapters/adapter_targets.hpp"
#include "base/result.hpp"
#include "ops/ops.hpp"

namespace pumice {

/// A change with its factors, which `change` counts in.
struct AdapterPatch {
    ops::MergeChange change;
    std::vector<float> factors;
};

/// The tensors of an adapter for one module of the model.
struct AdapterModule {
    std::string name;  ///< AdapterKey::module
    AdapterTarget target;
    std::map<AdapterPart, const StoredTensor*> parts;

    bool changes_weight() const;  ///< else at most the bias
    bool changes_bias() const { return parts.count(AdapterPart::bias_difference) > 0; }
};

/// The change of a module's weight, or of its bias, at strength 1. Without `values` only the shapes are checked and the
/// factors stay empty. Code::bad_format names the tensor that is missing or misshapen.
Result<AdapterPatch> weight_patch(const AdapterModule&, bool values);
Result<AdapterPatch> bias_patch(const AdapterModule&, bool values);

/// The change at a strength.
AdapterPatch at_strength(AdapterPatch, float strength);

}  // namespace pumice
