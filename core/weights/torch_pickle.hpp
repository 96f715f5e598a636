// What PyTorch's torch.save writes in its pickles: tensors over storages, in nested dicts.
// Layouts: torch/serialization.py and torch/_utils.py (_rebuild_tensor_v2 and its kin).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "weights/pickle.hpp"
#include "weights/stored_tensor.hpp"

namespace pumice {

/// The globals that weights need, by "module.name"; and some that training leaves in published checkpoints, of which
/// nothing is used.
bool torch_allows(std::string_view global);

/// Bytes that lie outside of the pickle, under a key.
struct TorchStorage {
    std::string key;
    std::optional<StoredType> type;  ///< none: bytes, whose type the tensor says
    std::uint64_t elements = 0;      ///< of one byte without a type
    // Older files have storages that are a part of another: `elements` from this element of the storage `key`.
    std::uint64_t offset = 0;
    std::uint64_t bytes() const { return elements * (type ? size_of(*type) : 1); }
};
/// Of a persistent value. Code::bad_format when it describes no storage; sizes are below 2^56 bytes.
Result<TorchStorage> torch_storage(const Pickle&, const PickleValue&);

struct TorchTensor {
    std::string name;  ///< the keys that lead to it, joined with dots
    StoredType dtype = StoredType::f32;
    std::vector<std::uint64_t> shape, strides;  ///< in elements
    std::uint64_t offset = 0;                   ///< in elements of the storage
    TorchStorage storage;
};

struct TorchWeights {
    std::vector<TorchTensor> tensors;
    std::map<std::string, std::string> metadata;  ///< texts and numbers found beside the tensors, by dotted keys
};
/// All tensors of a pickle, however deep they lie (to a limit); a "state_dict", "params_ema" or the like that holds
/// them is entered without leaving a trace in the names. Code::bad_format for tensors that are none.
Result<TorchWeights> torch_weights(const Pickle&);

}  // namespace pumice
