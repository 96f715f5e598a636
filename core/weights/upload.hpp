// Brings the tensors of a file to the device, in the layouts of graph/weight.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "graph/program.hpp"
#include "graph/weight.hpp"
#include "kernels/kernel.hpp"
#include "vulkan/device.hpp"
#include "weights/weight_file.hpp"
#include "weights/weight_plan.hpp"

namespace pumice {

/// A tensor's elements as f32, on the host: for the few that no kernel reads. Code::bad_format when there is none of that
/// name, Code::unsupported when its elements are no floats that the device takes either.
Result<std::vector<float>> host_values(const WeightFile&, std::string_view name);

struct WeightStoreOptions {
    std::uint64_t slot_bytes = std::uint64_t(16) << 20;   ///< of each of the two staging slots
    std::uint64_t block_bytes = std::uint64_t(16) << 20;  ///< small tensors share buffers of this size
};

/// The weights of one model part. A tensor's bytes are read once, from the mapped file into a staging slot, while the
/// device repacks the slot before; or straight into device memory that the host sees, where no repacking is needed.
/// Pages of the file that have been read are given back, so host memory stays at the two slots whatever the file's
/// size. F32, F16 and BF16 keep their type, and matrices of GGUF their blocks; F64 becomes f32, the 8-bit floats and
/// tables of blocks f16; vectors become f32. Not thread-safe. The Weights hold their memory alive, so the store may go before them.
class WeightStore {
public:
    WeightStore(std::shared_ptr<Device>, std::shared_ptr<KernelCache>, const WeightStoreOptions& = {});
    ~WeightStore();  ///< waits for what is under way
    WeightStore(const WeightStore&) = delete;
    WeightStore& operator=(const WeightStore&) = delete;

    /// Queues a tensor; it is on the device after flush(). Code::bad_format names a missing tensor or one whose shape
    /// does not suit the use, Code::unsupported one of another element type, Code::missing_feature one that is larger
    /// than the device binds; memory and device errors as they come.
    Result<Weight> load(const WeightFile&, std::string_view name, WeightUse);
    /// The same of a tensor that need not lie in the file, which messages name; its data are read during the call.
    Result<Weight> load(const WeightFile&, const StoredTensor&, WeightUse);
    /// The weight that a tensor becomes, without its memory. Errors as load's.
    Result<Weight> planned(const WeightFile&, const StoredTensor&, WeightUse) const;
    Status check_binding(const WeightFile&, const Weight&) const;
    /// Counts a weight whose memory the caller has made as one of the store's.
    void adopt(const Weight& w) { bytes_ += w.range.size; }
    /// Queues a planned weight whose memory the caller has made.
    Status load_to(const WeightFile&, const StoredTensor&, const Weight&);
    /// Memory for a tensor's weight, which the caller fills; never in blocks, and `wide`: in f32, whatever its type.
    Result<Weight> place(const WeightFile&, const StoredTensor&, WeightUse, bool wide);
    /// Takes back a weight's memory for another of its size: the caller's programs that use it are gone.
    void give_back(const Weight&);
    /// Memory of exactly this size that was given back.
    std::optional<BufferRange> take_given_back(std::uint64_t size);
    const std::multimap<std::uint64_t, BufferRange>& given_back() const { return free_; }
    /// Waits until all that was queued is on the device, and frees the staging slots. After an error the weights queued
    /// since the last flush hold nothing of use.
    Status flush();

    std::uint64_t bytes_on_device() const { return bytes_; }  ///< of all weights loaded

private:
    struct Slot;
    /// Writes bytes [begin, end) of the staged form of a tensor to `to`.
    using Fill = std::function<void(std::byte* to, std::uint64_t begin, std::uint64_t end)>;

    Result<Weight> place(const WeightFile&, Weight);
    Result<BufferRange> allocate(std::uint64_t size);
    Status make_slots();
    Result<Slot*> slot_with_room(std::uint64_t size);
    Status submit_slot();
    Status wait_in_flight();
    Status load_packed(const Weight&, std::uint64_t row_bytes, const Fill&);
    Status load_plain(const Weight&, std::uint64_t size, const Fill&);

    std::shared_ptr<Device> device_;
    std::shared_ptr<KernelCache> kernels_;
    WeightStoreOptions options_;
    std::uint64_t alignment_;
    std::uint64_t bytes_ = 0;
    std::shared_ptr<Buffer> block_;  ///< shared by small tensors
    std::uint64_t block_used_ = 0;
    std::multimap<std::uint64_t, BufferRange> free_;  ///< given back, by size
    std::unique_ptr<Slot> slots_[2];
    std::uint32_t filling_ = 0;  ///< the other slot is in flight, or empty
    Arena arena_;
    std::future<Status> in_flight_;
};

}  // namespace pumice
