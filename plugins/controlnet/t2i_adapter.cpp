// T2I-Adapter: features of a picture, computed once, added to the UNet's encoder at the end of each level. Mou et al.
// 2023, arXiv 2302.08453.
#include "kinds.hpp"

namespace pumice::controlnet {
namespace {

constexpr int kMostBlocks = 64, kLevels = 4;

/// The mean of each 2x2 cell; a workgroup takes 64 groups of four channels of the output. Odd last rows and columns
/// fall away, as PyTorch's AvgPool2d has it.
constexpr const char* kPool = R"(#version 460
layout(local_size_x = 64) in;
layout(set = 0, binding = 0, std430) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Y { vec4 y[]; };
layout(push_constant) uniform Push { uint rows, columns, quads, in_columns; };
void main() {
    const uint i = gl_WorkGroupID.x * 64 + gl_LocalInvocationID.x;
    if (i >= rows * columns * quads) return;
    const uint quad = i % quads, column = i / quads % columns, row = i / quads / columns;
    const uint at = (2 * row * in_columns + 2 * column) * quads + quad, below = at + in_columns * quads;
    precise vec4 sum = x[at] + x[at + quads];
    sum = sum + x[below];
    sum = sum + x[below + quads];
    precise vec4 mean = sum * 0.25;
    y[i] = mean;
}
)";

struct ResBlock {
    bool halve = false;   ///< first, by a convolution of its own if the file has one, else by the mean of 2x2
    std::string halving;  ///< that convolution, or empty
    std::string in_conv;  ///< or empty
    std::string name;     ///< its block1 and block2
    std::string skip;     ///< a convolution of what comes in, or empty
};

class Adapter final : public Model {
public:
    explicit Adapter(const Host& host) : host_(host) {}

    pumice_sdk_status read() {
        prefix_ = host_.has("adapter.conv_in.weight") ? "adapter." : "";
        const auto conv_in = host_.shape(prefix_ + "conv_in.weight");
        if (conv_in.size() != 4) return host_.fail(PUMICE_SDK_BAD_FORMAT, "the adapter's conv_in is no convolution");
        // 64 numbers of each channel for SD 1.x, whose latent is an eighth; SDXL's adapters begin at a sixteenth.
        const std::uint64_t in = conv_in[1];
        cell_ = in == 64 || in == 192 ? 8 : in == 256 || in == 768 ? 16 : 0;
        channels_ = in == 64 || in == 256 ? 1 : 3;
        if (cell_ == 0)
            return host_.fail(PUMICE_SDK_UNSUPPORTED, "an adapter of a kind that this version does not run");
        if (host_.has(prefix_ + "body.0.resnets.0.block1.weight"))
            read_diffusers();
        else
            read_original();
        for (const auto& level : levels_)
            if (level.empty()) return host_.fail(PUMICE_SDK_BAD_FORMAT, "the adapter has not four levels of blocks");
        return PUMICE_SDK_OK;
    }

    pumice_sdk_status prepare(const pumice_control_prepare& call) override {
        Network net(host_, call.graph);
        net.scope("conv_in");
        pumice_node h = host_.graph->pixel_unshuffle(host_.host, call.graph, call.picture, cell_, channels_);
        h = net.conv(prefix_ + "conv_in", h);
        for (const auto& level : levels_) {
            for (const ResBlock& block : level) h = run(net, block, h);
            if (net.status() != PUMICE_SDK_OK) return net.status();
            const pumice_sdk_status kept = call.keep(&call, h);
            if (kept != PUMICE_SDK_OK) return kept;
        }
        return PUMICE_SDK_OK;
    }

    pumice_sdk_status step(const pumice_control_step& call) override {
        if (call.kept_count != kLevels) return PUMICE_SDK_INVALID_ARGUMENT;
        // The last blocks of the levels of SD 1.x; of SDXL those of the same sizes.
        static const char* const original[] = {"input_blocks.2", "input_blocks.5", "input_blocks.8", "input_blocks.11"};
        static const char* const xl[] = {"input_blocks.3", "input_blocks.5", "input_blocks.8", "middle_block"};
        constexpr double soft[] = {0.25, 0.62, 0.825, 1};
        for (int i = 0; i < kLevels; ++i) {
            const char* place = cell_ == 16 ? xl[i] : original[i];
            const pumice_sdk_status added = call.add(&call, place, PUMICE_CONTROL_TO_OUTPUT, call.kept[i], soft[i]);
            if (added != PUMICE_SDK_OK) return added;
        }
        return PUMICE_SDK_OK;
    }

private:
    /// Whether a level begins with half the size.
    bool halves(int level) const { return cell_ == 16 ? level == 2 : level != 0; }
    std::string existing(const std::string& name) const { return host_.has(name + ".weight") ? name : ""; }

    /// body.N, as many of them a level as there are in a quarter.
    void read_original() {
        int count = 0;
        while (count < kMostBlocks && host_.has(prefix_ + "body." + std::to_string(count) + ".block1.weight")) ++count;
        if (count % kLevels != 0) return;
        for (int i = 0; i < count; ++i) {
            const int level = i / (count / kLevels);
            const std::string name = prefix_ + "body." + std::to_string(i);
            const bool first = i % (count / kLevels) == 0;
            levels_[level].push_back({first && halves(level), existing(name + ".down_opt.op"),
                                      existing(name + ".in_conv"), name, existing(name + ".skep")});
        }
    }

    /// body.LEVEL.resnets.N; what changes the channels stands before the level.
    void read_diffusers() {
        for (int level = 0; level < kLevels; ++level) {
            const std::string body = prefix_ + "body." + std::to_string(level);
            for (int i = 0; i < kMostBlocks; ++i) {
                const std::string name = body + ".resnets." + std::to_string(i);
                if (!host_.has(name + ".block1.weight")) break;
                levels_[level].push_back(
                    {i == 0 && halves(level), "", i == 0 ? existing(body + ".in_conv") : "", name, ""});
            }
        }
    }

    pumice_node run(Network& net, const ResBlock& block, pumice_node x) {
        net.scope(block.name);
        if (block.halve) x = block.halving.empty() ? pool(net, x) : halved(net, block.halving, x);
        if (!block.in_conv.empty()) x = net.conv(block.in_conv, x);
        Network::Conv first, second;
        first.activation = PUMICE_ACTIVATE_RELU;
        const pumice_node h = net.conv(block.name + ".block1", x, first);
        second.residual = block.skip.empty() ? x : net.conv(block.skip, x);
        return net.conv(block.name + ".block2", h, second);
    }

    static pumice_node halved(Network& net, const std::string& name, pumice_node x) {
        Network::Conv options;
        options.stride = 2;
        return net.conv(name, x, options);
    }

    pumice_node pool(Network& net, pumice_node x) {
        if (kernel_ == 0) {
            pumice_kernel_options options{};
            options.struct_size = sizeof(options);
            options.name = "average_pool.comp";
            options.f32.glsl = kPool;
            options.reads = options.writes = 1;
            options.push_bytes = 16;
            net.take(host_.kernel->create(host_.host, &options, &kernel_));
            if (kernel_ == 0) return 0;
        }
        const pumice_shape in = net.shape(x), out{in.n, in.h / 2, in.w / 2, in.c};
        const std::uint32_t push[] = {out.h, out.w, out.c / 4, in.w};
        pumice_kernel_use use{};
        use.struct_size = sizeof(use);
        use.reads = &x;
        use.writes = &out;
        use.push = push;
        use.groups[0] = (out.h * out.w * (out.c / 4) + 63) / 64;
        use.groups[1] = use.groups[2] = 1;
        use.flops = 16.0 * out.h * out.w * out.c / 4;
        pumice_node written = 0;
        net.take(host_.kernel->append(host_.host, net.graph(), kernel_, &use, &written));
        return written;
    }

    const Host& host_;
    std::string prefix_;
    std::uint32_t cell_ = 0, channels_ = 3;
    std::vector<ResBlock> levels_[kLevels];
    pumice_kernel kernel_ = 0;
};

}  // namespace

pumice_sdk_status open_t2i_adapter(const Host& host, const pumice_control_model&, std::unique_ptr<Model>& opened) {
    const bool known = host.has("body.0.block1.weight") || host.has("adapter.body.0.block1.weight") ||
                       host.has("body.0.resnets.0.block1.weight") || host.has("adapter.body.0.resnets.0.block1.weight");
    if (!known) return host.fail(PUMICE_SDK_UNSUPPORTED, "no T2I-Adapter: it has no body.0.block1");
    auto made = std::make_unique<Adapter>(host);
    const pumice_sdk_status read = made->read();
    opened = std::move(made);
    return read;
}

}  // namespace pumice::controlnet
