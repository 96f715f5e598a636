#include "vulkan/device.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "vulkan/features.hpp"
#include "vulkan/memory_state.hpp"
#include "vulkan/pipeline_cache.hpp"
#include "vulkan/vk_error.hpp"

namespace pumice {
namespace {

constexpr std::uint64_t kWaitNanoseconds = 5'000'000'000;  // then the lost flag is looked at again

// Rough sustained speeds before anything was measured; too low only means shorter submissions at first.
double first_guess_gflops(DeviceType type) {
    switch (type) {
        case DeviceType::discrete:
            return 2000;
        case DeviceType::integrated:
            return 200;
        case DeviceType::virtual_gpu:
            return 500;
        default:
            return 5;
    }
}

Result<VkDevice> create_device(VkPhysicalDevice physical, const Capabilities& caps) {
    const DeviceExtensions extensions(physical);
    FeatureChain supported(caps.api_version, extensions), enabled(caps.api_version, extensions);
    vkGetPhysicalDeviceFeatures2(physical, &supported.core);
    enabled.enable_from(supported);

    const float priority = 1;
    VkDeviceQueueCreateInfo queue{};
    queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
    queue.queueFamilyIndex = caps.compute_queue_family;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    const std::vector<const char*> names = extensions.wanted();
    VkDeviceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.pNext = &enabled.core;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    info.enabledExtensionCount = static_cast<std::uint32_t>(names.size());
    info.ppEnabledExtensionNames = names.data();
    VkDevice device = VK_NULL_HANDLE;
    if (const VkResult r = vkCreateDevice(physical, &info, nullptr, &device); r != VK_SUCCESS)
        return vulkan_error(r, fmt::format("opening {}", caps.name));
    return device;
}

}  // namespace

DeviceHandle::~DeviceHandle() {
    if (device) vkDestroyDevice(device, nullptr);
}

Result<std::shared_ptr<Device>> Device::create(std::shared_ptr<Instance> instance, const DeviceOptions& options) {
    PUMICE_ASSIGN(const std::uint32_t index, instance->choose(options.wanted));
    const Capabilities& caps = instance->devices()[index];
    if (const std::string missing = missing_requirement(caps); !missing.empty())
        return Error{Code::missing_feature,
                     fmt::format("{} lacks {}, which Pumice needs; update its driver or choose another device "
                                 "(`pumice devices` lists them)",
                                 caps.name, missing)};

    const std::shared_ptr<Device> made(new Device);
    made->caps_ = caps;
    made->log_ = options.log;
    made->assumed_gflops_ = first_guess_gflops(caps.type);
    made->handle_ = std::make_shared<DeviceHandle>();
    made->handle_->physical = instance->physical(index);
    made->handle_->instance = std::move(instance);
    PUMICE_ASSIGN(made->handle_->device, create_device(made->handle_->physical, made->caps_));
    vkGetDeviceQueue(made->handle(), made->queue_family(), 0, &made->queue_);

    VkSemaphoreTypeCreateInfo type{};
    type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo semaphore{};
    semaphore.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
    semaphore.pNext = &type;
    if (const VkResult r = vkCreateSemaphore(made->handle(), &semaphore, nullptr, &made->timeline_); r != VK_SUCCESS)
        return made->error(r, "making a semaphore");

    auto state = std::make_unique<Allocator::State>();
    state->device = made->handle_;
    state->caps = made->caps_;
    state->log = options.log;
    made->allocator_ = std::shared_ptr<Allocator>(new Allocator(std::move(state)));
    made->allocator_->self_ = made->allocator_;
    PUMICE_TRY(made->open_pipeline_cache(options.cache_folder));
    return made;
}

Device::~Device() {
    if (!handle_ || !handle_->device) return;
    vkDeviceWaitIdle(handle());  // fails at once when the device is lost, which is as good
    if (pipeline_cache_) {
        if (const Status saved = save_pipeline_cache(); !saved)
            log_.warning("the pipeline cache was not kept: {}", saved.error().message);
        vkDestroyPipelineCache(handle(), pipeline_cache_, nullptr);
    }
    vkDestroySemaphore(handle(), timeline_, nullptr);
}

Status Device::open_pipeline_cache(const std::filesystem::path& folder) {
    std::vector<std::byte> data;
    if (!folder.empty()) {
        cache_file_ = folder / pipeline_cache_name(caps_);
        const auto file = read_cache_file(cache_file_);
        if (!file) {
            log_.warning("pipeline cache: {}", file.error().message);
        } else if (*file) {
            auto decoded = decode_pipeline_cache(caps_, **file);
            if (decoded)
                data = *std::move(decoded);
            else
                log_.warning("pipeline cache {} is not used: {}", cache_file_.string(), decoded.error().message);
        }
    }
    VkPipelineCacheCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    info.initialDataSize = data.size();
    info.pInitialData = data.data();
    VkResult r = vkCreatePipelineCache(handle(), &info, nullptr, &pipeline_cache_);
    if (r != VK_SUCCESS && !data.empty()) {  // the driver does not like what it once wrote
        log_.warning("pipeline cache {} is not used: {}", cache_file_.string(), to_string(r));
        data.clear();
        info.initialDataSize = 0;
        r = vkCreatePipelineCache(handle(), &info, nullptr, &pipeline_cache_);
    }
    if (r != VK_SUCCESS) return error(r, "making a pipeline cache");
    if (!data.empty()) cache_hash_ = pipeline_cache_hash(data);
    return {};
}

Status Device::save_pipeline_cache() {
    if (cache_file_.empty() || lost()) return {};
    std::vector<std::byte> data;
    for (VkResult r = VK_INCOMPLETE; r == VK_INCOMPLETE;) {  // it may grow between the two calls
        std::size_t size = 0;
        if ((r = vkGetPipelineCacheData(handle(), pipeline_cache_, &size, nullptr)) == VK_SUCCESS) {
            data.resize(size);
            r = vkGetPipelineCacheData(handle(), pipeline_cache_, &size, data.data());
            data.resize(size);
        }
        if (r < VK_SUCCESS) return error(r, "reading the pipeline cache");
    }
    const std::uint64_t hash = pipeline_cache_hash(data);
    if (hash == cache_hash_) return {};
    PUMICE_TRY(write_cache_file(cache_file_, encode_pipeline_cache(caps_, data)));
    cache_hash_ = hash;
    return {};
}

Result<std::uint64_t> Device::submit(std::span<const VkCommandBuffer> commands) {
    const std::lock_guard lock(queue_mutex_);
    if (lost()) return error(VK_ERROR_DEVICE_LOST, "submitting work");
    const std::uint64_t before = submitted_.load(), after = before + 1;
    // All that earlier submissions wrote is visible to the stages that we use.
    const VkPipelineStageFlags stages = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    VkTimelineSemaphoreSubmitInfo values{};
    values.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
    values.waitSemaphoreValueCount = 1;
    values.pWaitSemaphoreValues = &before;
    values.signalSemaphoreValueCount = 1;
    values.pSignalSemaphoreValues = &after;
    VkSubmitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.pNext = &values;
    info.waitSemaphoreCount = 1;
    info.pWaitSemaphores = &timeline_;
    info.pWaitDstStageMask = &stages;
    info.commandBufferCount = static_cast<std::uint32_t>(commands.size());
    info.pCommandBuffers = commands.data();
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &timeline_;
    const bool lose = lose_ && lose_();
    if (lose) vkQueueWaitIdle(queue_);  // work on a device that is lost has ended too
    if (const VkResult r = lose ? VK_ERROR_DEVICE_LOST : vkQueueSubmit(queue_, 1, &info, VK_NULL_HANDLE);
        r != VK_SUCCESS)
        return error(r, "submitting work");
    submitted_ = after;
    return after;
}

void Device::set_fault(std::function<bool()> lose) {
    const std::lock_guard lock(queue_mutex_);
    if (lose_ && !lose) lost_ = false;  // the driver's device was there all the time
    lose_ = std::move(lose);
}

Status Device::wait(std::uint64_t value) {
    if (value > submitted_.load()) return Error{Code::internal, "waiting for work that was never submitted"};
    VkSemaphoreWaitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
    info.semaphoreCount = 1;
    info.pSemaphores = &timeline_;
    info.pValues = &value;
    for (;;) {
        if (lost()) return error(VK_ERROR_DEVICE_LOST, "waiting for work");
        const VkResult r = vkWaitSemaphores(handle(), &info, kWaitNanoseconds);
        if (r == VK_SUCCESS) return {};
        if (r != VK_TIMEOUT) return error(r, "waiting for work");
    }
}

Result<std::uint64_t> Device::completed() {
    if (lost()) return error(VK_ERROR_DEVICE_LOST, "asking for progress");
    std::uint64_t value = 0;
    if (const VkResult r = vkGetSemaphoreCounterValue(handle(), timeline_, &value); r != VK_SUCCESS)
        return error(r, "asking for progress");
    return value;
}

Error Device::error(VkResult result, const std::string& what) {
    if (result == VK_ERROR_DEVICE_LOST) lost_ = true;
    return vulkan_error(result, fmt::format("{}: {}", caps_.name, what));
}

void Device::observe_gflops(double measured) {
    if (!std::isfinite(measured) || measured <= 0) return;
    // A quarter of the way each time: one slow submission among many does not halve the next ones.
    const double now = assumed_gflops_.load();
    assumed_gflops_ = std::clamp(now + (measured - now) / 4, 0.05, 1e6);
}

}  // namespace pumice
