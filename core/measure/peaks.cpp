// The device's peak rates, by the kernels of peak.comp.
#include "measure/peaks.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "kernels/embedded.hpp"
#include "vulkan/command.hpp"
#include "vulkan/pipeline.hpp"
#include "vulkan/profiler.hpp"

namespace pumice {
extern const EmbeddedModules shaders_peak;  // made by the build from peak.comp

namespace {

constexpr std::uint32_t kWorkgroup = 64;
constexpr double kFlopsPerRound = 2.0 * 16 * 2 * 4;  // fused, steps, chains of four elements
constexpr double kLongEnough = 0.03;                 // seconds: far above what a submission costs
constexpr double kOpsPerRound = 8.0 * 16 * 2;         // of a packed dot product: four products, four sums
constexpr int kRuns = 5;

struct Push {
    std::uint32_t count;
    float factor, addend;
};

double wall() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Bench {
    std::shared_ptr<Device> device;
    std::function<double()> clock;
};

/// One kernel of peak.comp with its buffers.
class Kernel {
public:
    Kernel(const Bench& bench, std::string name) : bench_(bench), name_("peak." + std::move(name)) {}
    ~Kernel() {
        if (set_pool_) vkDestroyDescriptorPool(bench_.device->handle(), set_pool_, nullptr);
        if (pipeline_.pipeline) destroy_pipeline(*bench_.device, pipeline_);
    }
    Kernel(const Kernel&) = delete;
    Kernel& operator=(const Kernel&) = delete;

    Status make(std::span<const std::shared_ptr<Buffer>> buffers);
    /// The least seconds of some runs.
    Result<double> time(std::uint32_t count, std::array<std::uint32_t, 2> groups, std::uint32_t dispatches = 1);

private:
    Status bind(std::span<const std::shared_ptr<Buffer>> buffers);
    const Bench& bench_;
    std::string name_;
    Pipeline pipeline_;
    VkDescriptorPool set_pool_ = VK_NULL_HANDLE;
    VkDescriptorSet set_ = VK_NULL_HANDLE;
    std::unique_ptr<Timestamps> stamps_;
};

Status Kernel::make(std::span<const std::shared_ptr<Buffer>> buffers) {
    const auto module = std::find_if(shaders_peak.begin(), shaders_peak.end(),
                                     [&](const EmbeddedModule& m) { return m.name == name_; });
    if (module == shaders_peak.end()) return Error{Code::internal, "no shader module is named " + name_};
    const auto bindings = static_cast<std::uint32_t>(buffers.size());
    PUMICE_ASSIGN(pipeline_, create_pipeline(*bench_.device, {module->words, {}, bindings, sizeof(Push), 0, name_}));
    PUMICE_ASSIGN(stamps_, Timestamps::create(bench_.device, 2));
    return bind(buffers);
}

Status Kernel::bind(std::span<const std::shared_ptr<Buffer>> buffers) {
    Device& device = *bench_.device;
    const auto bindings = static_cast<std::uint32_t>(buffers.size());
    const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, bindings};
    VkDescriptorPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    pool.maxSets = 1, pool.poolSizeCount = 1, pool.pPoolSizes = &size;
    if (const VkResult r = vkCreateDescriptorPool(device.handle(), &pool, nullptr, &set_pool_); r != VK_SUCCESS)
        return device.error(r, name_ + ": descriptor pool");
    VkDescriptorSetAllocateInfo allocate{};
    allocate.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    allocate.descriptorPool = set_pool_, allocate.descriptorSetCount = 1, allocate.pSetLayouts = &pipeline_.set_layout;
    if (const VkResult r = vkAllocateDescriptorSets(device.handle(), &allocate, &set_); r != VK_SUCCESS)
        return device.error(r, name_ + ": descriptor set");
    for (std::uint32_t i = 0; i < bindings; ++i) {
        const VkDescriptorBufferInfo info{buffers[i]->handle(), 0, buffers[i]->size()};
        VkWriteDescriptorSet write{};
        write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
        write.dstSet = set_, write.dstBinding = i, write.descriptorCount = 1;
        write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, write.pBufferInfo = &info;
        vkUpdateDescriptorSets(device.handle(), 1, &write, 0, nullptr);
    }
    return {};
}

Result<double> Kernel::time(std::uint32_t count, std::array<std::uint32_t, 2> groups, std::uint32_t dispatches) {
    const VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER, nullptr, VK_ACCESS_SHADER_WRITE_BIT,
                                 VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT};
    const Push push{count, 0.999f, 0.001f};
    double least = 0;
    for (int run = 0; run < kRuns; ++run) {
        const double begin = bench_.clock ? bench_.clock() : wall();
        PUMICE_TRY(run_commands(bench_.device, [&](VkCommandBuffer commands) {
            stamps_->reset(commands, 0, 2);
            vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_.pipeline);
            vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_.layout, 0, 1, &set_, 0,
                                    nullptr);
            vkCmdPushConstants(commands, pipeline_.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof(push), &push);
            stamps_->write(commands, 0);
            for (std::uint32_t i = 0; i < dispatches; ++i) {
                if (i > 0)
                    vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                         VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &memory, 0, nullptr, 0, nullptr);
                vkCmdDispatch(commands, groups[0], groups[1], 1);
            }
            stamps_->write(commands, 1);
        }));
        PUMICE_ASSIGN(const double nanoseconds, stamps_->nanoseconds(0, 1));
        const double passed = (bench_.clock ? bench_.clock() : wall()) - begin;
        const double seconds = bench_.clock || nanoseconds <= 0 ? passed : nanoseconds * 1e-9;
        if (run > 0) least = least > 0 ? std::min(least, seconds) : seconds;  // the first one warms up
    }
    return least;
}

/// GFLOP/s of the best of some kernels, whose rounds are so many operations an invocation.
Result<double> arithmetic(const Bench& bench, const std::vector<std::string>& names, double per_round) {
    PUMICE_ASSIGN(std::shared_ptr<Buffer> output,
                  bench.device->allocator().create(1 << 20, Intent::device, "peak output"));
    const std::array buffers{std::move(output)};
    // Enough invocations to fill any card; a processor does not mind.
    const std::array<std::uint32_t, 2> groups{8192, 1};
    double best = 0;
    for (const std::string& name : names) {
        Kernel kernel(bench, name);
        PUMICE_TRY(kernel.make(buffers));
        for (std::uint32_t rounds = 1; rounds <= 1u << 16; rounds *= 4) {
            PUMICE_ASSIGN(const double seconds, kernel.time(rounds, groups));
            if (seconds <= 0) return Error{Code::internal, "the clock stands still"};
            const double flops = per_round * rounds * kWorkgroup * groups[0];
            best = std::max(best, flops / seconds * 1e-9);
            if (seconds > kLongEnough) break;
        }
    }
    return best;
}

/// GB/s, read and written, of the better of 16 and 32 bytes at a time.
Result<double> copy(const Bench& bench) {
    const Capabilities& caps = bench.device->caps();
    // Larger than caches, where the device lets it be.
    const std::uint64_t room = std::min(
        {caps.max_storage_buffer_range, std::uint64_t(256) << 20, bench.device->allocator().device_bytes_free() / 4});
    const std::uint64_t bytes = std::max<std::uint64_t>(room, 1 << 20) / 4096 * 4096;
    std::array<std::shared_ptr<Buffer>, 2> buffers;
    for (auto& buffer : buffers) {
        PUMICE_ASSIGN(buffer, bench.device->allocator().create(bytes, Intent::device, "peak copy"));
    }
    const std::vector<std::byte> zeros(bytes);  // no page of it is untouched when the time is taken
    PUMICE_TRY(write_range(bench.device, {buffers[0], 0, bytes}, zeros));
    double best = 0;
    for (const std::uint32_t word : {16u, 32u}) {
        if (word == 32 && !caps.int64) continue;
        Kernel kernel(bench, "copy" + std::to_string(word));
        PUMICE_TRY(kernel.make(buffers));
        const auto words = static_cast<std::uint32_t>(bytes / word), groups = (words + kWorkgroup - 1) / kWorkgroup;
        const std::uint32_t rows = (groups + 65534) / 65535;
        PUMICE_ASSIGN(const double seconds, kernel.time(words, {(groups + rows - 1) / rows, rows}));
        if (seconds <= 0) return Error{Code::internal, "the clock stands still"};
        best = std::max(best, 2.0 * static_cast<double>(bytes) / seconds * 1e-9);
    }
    return best;
}

/// The median of the seconds of an empty submission.
Result<double> launch(const Bench& bench) {
    std::vector<double> seconds;
    for (int i = 0; i < 21; ++i) {
        const double begin = wall();
        PUMICE_TRY(run_commands(bench.device, [](VkCommandBuffer) {}));
        seconds.push_back(wall() - begin);
    }
    std::sort(seconds.begin(), seconds.end());
    return seconds[seconds.size() / 2];
}

Result<double> dispatch(const Bench& bench) {
    std::array<std::shared_ptr<Buffer>, 2> buffers;
    for (auto& buffer : buffers) {
        PUMICE_ASSIGN(buffer, bench.device->allocator().create(4096, Intent::device, "peak dispatch"));
    }
    constexpr std::uint32_t kMore = 256;
    Kernel kernel(bench, "copy16");
    PUMICE_TRY(kernel.make(buffers));
    PUMICE_ASSIGN(const double one, kernel.time(kWorkgroup, {1, 1}, 1));
    PUMICE_ASSIGN(const double many, kernel.time(kWorkgroup, {1, 1}, 1 + kMore));
    return std::max(0.0, many - one) / kMore;
}

bool built(const std::string& name) {
    return std::any_of(shaders_peak.begin(), shaders_peak.end(),
                       [&](const EmbeddedModule& m) { return m.name == "peak." + name; });
}

}  // namespace

Result<Peaks> measure_peaks(const std::shared_ptr<Device>& device, const std::function<double()>& clock) {
    const Bench bench{device, clock};
    const Capabilities& caps = device->caps();
    Peaks peaks;
    PUMICE_ASSIGN(peaks.f32_gflops, arithmetic(bench, {"fma_f32", "muladd_f32"}, kFlopsPerRound));
    if (caps.float16) {
        PUMICE_ASSIGN(peaks.f16_gflops, arithmetic(bench, {"fma_f16", "muladd_f16"}, kFlopsPerRound));
    }
    if (caps.integer_dot_product && built("dot_i8")) {
        PUMICE_ASSIGN(peaks.int8_gops, arithmetic(bench, {"dot_i8"}, kOpsPerRound));
    }
    PUMICE_ASSIGN(peaks.copy_gbps, copy(bench));
    PUMICE_ASSIGN(peaks.launch_seconds, launch(bench));
    PUMICE_ASSIGN(peaks.dispatch_seconds, dispatch(bench));
    peaks.largest_buffer =
        std::min({caps.max_buffer_size, caps.max_allocation_size, device->allocator().device_bytes_free()});
    return peaks;
}

}  // namespace pumice
