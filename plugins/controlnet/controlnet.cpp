// ControlNet: a copy of the UNet's encoder that sees a picture, joined to the UNet by convolutions that were zero when
// training began. Zhang et al. 2023, arXiv 2302.05543.
#include <cmath>

#include "geometry.hpp"
#include "kinds.hpp"

namespace pumice::controlnet {
namespace {

constexpr float kResBlockEps = 1e-5f, kTransformerEps = 1e-6f;

/// One step's network.
struct Builder : Network {
    const Geometry& geometry;
    const pumice_control_model& unet;
    pumice_node silu_emb = 0;  // {n,1,1,c} float32: silu of the time embedding
    pumice_node context = 0;

    Builder(const Host& host, pumice_graph graph, const Geometry& g, const pumice_control_model& model)
        : Network(host, graph), geometry(g), unet(model) {}

    /// Float32 throughout, as the UNet's own.
    void embed(const pumice_control_step& step, std::uint32_t channels) {
        const std::uint32_t n = shape(step.x).n;
        pumice_node emb = host().graph->timestep_embedding(host().host, graph(), step.timesteps, n, channels);
        emb = linear(geometry.time_1, emb, 0, PUMICE_ACTIVATE_SILU, true);
        emb = linear(geometry.time_2, emb, 0, PUMICE_ACTIVATE_NONE, true);
        if (!geometry.label_1.empty()) {
            const pumice_node label = linear(geometry.label_1, step.vector, 0, PUMICE_ACTIVATE_SILU, true);
            emb = add(emb, linear(geometry.label_2, label, 0, PUMICE_ACTIVATE_NONE, true));
        }
        silu_emb = silu(emb);
    }

    pumice_node res_block(const std::string& name, pumice_node x) {
        const ResNames& names = geometry.res;
        const auto part = [&name](const char* of) { return name + "." + of; };
        const pumice_node emb = linear(part(names.emb), silu_emb, 0, PUMICE_ACTIVATE_NONE, true);
        pumice_node h = group_norm(part(names.in_norm), x, kResBlockEps, true);
        Conv first;
        first.channel_add = emb;
        h = conv(part(names.in_conv), h, first);
        h = group_norm(part(names.out_norm), h, kResBlockEps, true);
        Conv second;
        second.residual = host().has(part(names.skip) + ".weight") ? linear(part(names.skip), x) : x;
        return conv(part(names.out_conv), h, second);
    }

    pumice_node cross_attention(const std::string& name, pumice_node x, pumice_node keys, pumice_node residual) {
        const pumice_node q = linear(name + ".to_q", x), k = linear(name + ".to_k", keys),
                          v = linear(name + ".to_v", keys);
        const std::uint32_t heads = unet.heads != 0 ? unet.heads : shape(q).c / unet.head_channels;
        return linear(name + ".to_out.0", attention(q, k, v, heads), residual);
    }

    pumice_node transformer(const std::string& name, pumice_node x) {
        pumice_node h = linear(name + ".proj_in", group_norm(name + ".norm", x, kTransformerEps, false));
        for (int i = 0; host().has(name + ".transformer_blocks." + std::to_string(i) + ".norm1.weight"); ++i) {
            const std::string block = name + ".transformer_blocks." + std::to_string(i);
            const pumice_node self = layer_norm(block + ".norm1", h);
            h = cross_attention(block + ".attn1", self, self, h);
            h = cross_attention(block + ".attn2", layer_norm(block + ".norm2", h), context, h);
            h = linear(block + ".ff.net.2", geglu(block + ".ff.net.0.proj", layer_norm(block + ".norm3", h)), h);
        }
        return linear(name + ".proj_out", h, x);
    }

    pumice_node block(const Block& block, pumice_node x) {
        for (const Member& member : block.members) {
            scope(member.name);
            Conv halved;
            halved.stride = 2;
            switch (member.kind) {
                case Member::Kind::conv:
                    x = conv(member.name, x);
                    break;
                case Member::Kind::res:
                    x = res_block(member.name, x);
                    break;
                case Member::Kind::transformer:
                    x = transformer(member.name, x);
                    break;
                case Member::Kind::downsample:
                    x = conv(member.name, x, halved);
                    break;
            }
        }
        return x;
    }
};

class ControlNet final : public Model {
public:
    ControlNet(const Host& host, const pumice_control_model& unet, Geometry geometry)
        : host_(host), unet_(unet), geometry_(std::move(geometry)) {}

    pumice_sdk_status check() const {
        const auto first = host_.shape(geometry_.input.front().members.front().name + ".weight");
        const auto time = host_.shape(geometry_.time_1 + ".weight");
        if (first.size() != 4 || time.size() != 2 || first[0] != unet_.model_channels || time[1] != first[0])
            return host_.fail(PUMICE_SDK_UNSUPPORTED, "the ControlNet is for a UNet of another width than the model's");
        for (const Block& block : geometry_.input)
            for (const Member& member : block.members) {
                const auto keys = host_.shape(member.name + ".transformer_blocks.0.attn2.to_k.weight");
                if (member.kind == Member::Kind::transformer && (keys.size() != 2 || keys[1] != unet_.context_channels))
                    return host_.fail(
                        PUMICE_SDK_UNSUPPORTED,
                        "the ControlNet is for another family of models: its prompts' states have another "
                        "width");
            }
        const auto label =
            geometry_.label_1.empty() ? std::vector<std::uint64_t>{} : host_.shape(geometry_.label_1 + ".weight");
        if ((label.size() == 2 ? label[1] : 0) != unet_.vector_channels)
            return host_.fail(PUMICE_SDK_UNSUPPORTED,
                              "the ControlNet is for another family of models: its vector differs");
        return PUMICE_SDK_OK;
    }

    pumice_sdk_status prepare(const pumice_control_prepare& call) override {
        Network net(host_, call.graph);
        pumice_node h = call.picture;
        for (std::size_t i = 0; i < geometry_.hint.size(); ++i) {
            net.scope(geometry_.hint[i].name);
            Network::Conv options;
            options.stride = geometry_.hint[i].stride;
            options.activation = i + 1 < geometry_.hint.size() ? PUMICE_ACTIVATE_SILU : PUMICE_ACTIVATE_NONE;
            h = net.conv(geometry_.hint[i].name, h, options);
        }
        return net.status() == PUMICE_SDK_OK ? call.keep(&call, h) : net.status();
    }

    pumice_sdk_status step(const pumice_control_step& call) override {
        if (call.kept_count != 1 || (!geometry_.label_1.empty() && call.vector == 0))
            return PUMICE_SDK_INVALID_ARGUMENT;
        Builder b(host_, call.graph, geometry_, unet_);
        b.context = call.context;
        b.scope("time_embed");
        b.embed(call, unet_.model_channels);
        pumice_node h = call.x;
        // Blocks deep in the network count most: 0.825^12 for the first.
        for (std::size_t i = 0; i < geometry_.input.size(); ++i) {
            h = b.block(geometry_.input[i], h);
            if (i == 0) h = b.add(h, call.kept[0]);
            b.scope(geometry_.input[i].zero);
            const pumice_node residual = b.linear(geometry_.input[i].zero, h);
            if (b.status() != PUMICE_SDK_OK) return b.status();
            const std::string place = "input_blocks." + std::to_string(i);
            const pumice_sdk_status added =
                call.add(&call, place.c_str(), PUMICE_CONTROL_TO_SKIP, residual, soft_weight(i));
            if (added != PUMICE_SDK_OK) return added;
        }
        h = b.block(geometry_.middle, h);
        b.scope(geometry_.middle.zero);
        const pumice_node residual = b.linear(geometry_.middle.zero, h);
        b.scope("");
        if (b.status() != PUMICE_SDK_OK) return b.status();
        return call.add(&call, "middle_block", PUMICE_CONTROL_TO_SKIP, residual, soft_weight(geometry_.input.size()));
    }

private:
    /// 0.825^(12 - i) for residual i of SD 1.x's 13; the middle block's counts whole in others too.
    double soft_weight(std::size_t i) const {
        double weight = 1;
        for (std::size_t k = i; k < geometry_.input.size(); ++k) weight *= 0.825;
        return weight;
    }

    const Host& host_;
    pumice_control_model unet_;
    Geometry geometry_;
};

}  // namespace

pumice_sdk_status open_controlnet(const Host& host, const pumice_control_model& model, std::unique_ptr<Model>& opened) {
    Geometry geometry;
    const pumice_sdk_status read = read_geometry(host, geometry);
    if (read != PUMICE_SDK_OK) return read;
    auto made = std::make_unique<ControlNet>(host, model, std::move(geometry));
    const pumice_sdk_status checked = made->check();
    opened = std::move(made);
    return checked;
}

}  // namespace pumice::controlnet
