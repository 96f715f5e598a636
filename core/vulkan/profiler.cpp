#include "vulkan/profiler.hpp"

#include <cmath>

namespace pumice {

Result<std::unique_ptr<Timestamps>> Timestamps::create(std::shared_ptr<Device> device, std::uint32_t count) {
    std::unique_ptr<Timestamps> made(new Timestamps);
    made->device_ = std::move(device);
    if (made->device_->caps().timestamp_bits == 0 || count == 0) return made;
    VkQueryPoolCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
    info.queryType = VK_QUERY_TYPE_TIMESTAMP;
    info.queryCount = count;
    if (const VkResult r = vkCreateQueryPool(made->device_->handle(), &info, nullptr, &made->pool_); r != VK_SUCCESS)
        return made->device_->error(r, "making a query pool");
    return made;
}

Timestamps::~Timestamps() {
    if (pool_) vkDestroyQueryPool(device_->handle(), pool_, nullptr);
}

void Timestamps::reset(VkCommandBuffer commands, std::uint32_t first, std::uint32_t count) {
    if (pool_) vkCmdResetQueryPool(commands, pool_, first, count);
}

void Timestamps::write(VkCommandBuffer commands, std::uint32_t index) {
    if (pool_) vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, pool_, index);
}

Result<double> Timestamps::nanoseconds(std::uint32_t begin, std::uint32_t end) {
    if (!pool_) return 0.0;
    const auto ticks = [&](std::uint32_t index) -> Result<std::uint64_t> {
        std::uint64_t value = 0;
        const VkResult r = vkGetQueryPoolResults(device_->handle(), pool_, index, 1, sizeof value, &value, sizeof value,
                                                 VK_QUERY_RESULT_64_BIT);
        if (r == VK_NOT_READY) return Error{Code::internal, "a timestamp was read before its work ended"};
        if (r != VK_SUCCESS) return device_->error(r, "reading a timestamp");
        return value;
    };
    PUMICE_ASSIGN(const std::uint64_t from, ticks(begin));
    PUMICE_ASSIGN(const std::uint64_t to, ticks(end));
    return between(from, to);
}

Result<std::vector<std::uint64_t>> Timestamps::ticks(std::uint32_t count) {
    std::vector<std::uint64_t> values(count, 0);
    if (!pool_ || count == 0) return values;
    const VkResult r = vkGetQueryPoolResults(device_->handle(), pool_, 0, count, count * sizeof(std::uint64_t),
                                             values.data(), sizeof(std::uint64_t), VK_QUERY_RESULT_64_BIT);
    if (r == VK_NOT_READY) return Error{Code::internal, "a timestamp was read before its work ended"};
    if (r != VK_SUCCESS) return device_->error(r, "reading timestamps");
    return values;
}

double Timestamps::between(std::uint64_t from, std::uint64_t to) const {
    const std::uint32_t bits = device_->caps().timestamp_bits;
    const std::uint64_t mask = bits >= 64 ? ~std::uint64_t(0) : (std::uint64_t(1) << bits) - 1;
    return static_cast<double>((to - from) & mask) * device_->caps().timestamp_period;  // the counter may wrap
}

}  // namespace pumice
