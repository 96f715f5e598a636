#include "cases.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "ops/attention.hpp"
#include "ops/cases.hpp"
#include "ops/gemm.hpp"
#include "ops/ops.hpp"

namespace pumice::bench {
namespace {

using ops::AttentionVariant;
using ops::GemmVariant;

struct List {
    std::vector<Case> cases;
    void add(Case c) { cases.push_back(std::move(c)); }
    /// An operator that moves memory.
    void move(std::string op, std::string set, std::string name, Build build) {
        add({std::move(op), std::move(set), std::move(name), false, std::move(build), {}, false});
    }
};

std::string text(const Shape& s) {
    return fmt::format("{}x{}x{}x{}", s.n, s.h, s.w, s.c);
}

/// Of a case's name, as the checkpoint calls the layer.
std::string set_of(std::string_view name) {
    for (const char* part : {"input_blocks", "middle_block", "output_blocks", "out.", "attn2", "time_embed"})
        if (name.starts_with(part)) return "unet";
    return name.starts_with("vae") ? "vae 512" : name.starts_with("text") ? "text" : "ragged";
}

std::string describe(const GemmVariant& v) {
    static constexpr const char* paths[] = {"direct", "wide", "broadcast", "shared"};
    return fmt::format("{} {}x{}", paths[static_cast<int>(v.path)], v.lanes_n, v.lanes_m);
}
std::string describe(const AttentionVariant& v) {
    return fmt::format("{} queries x {}{}{}", v.rows, v.lanes, v.pair ? ", pairs" : "", v.handed ? ", handed" : "");
}

/// `run(graph, inputs, variant)` appends the product; `problem(graph, inputs)` is what it is about.
template <class Run, class Problem>
Case gemm_case(std::string op, std::string set, std::string name, Run run, Problem problem) {
    Case c{std::move(op), std::move(set), std::move(name), true, {}, {}, false};
    c.build = [run](Graph& g, Inputs& in) { return run(g, in, nullptr); };
    c.variants = [run, problem](Graph& g) {
        std::vector<Variant> variants;
        for (const GemmVariant& v : ops::gemm_variants(g.caps(), problem(g)))
            variants.push_back({describe(v), [run, v](Graph& to, Inputs& in) { return run(to, in, &v); }});
        return variants;
    };
    return c;
}

Case linear_case(const test::LinearCase& c, std::string set, std::uint32_t rows) {
    const auto run = [c, rows](Graph& g, Inputs& in, const GemmVariant* v) {
        const Weight w = in.weight(c.n, c.k, 1, c.geglu), bias = in.vector(c.n);
        const TensorId x = in.activation(g, {1, 1, rows, w.k_padded()});
        ops::LinearOptions options{c.bias ? &bias : nullptr, {}, c.activation, false};
        if (c.residual) options.residual = in.activation(g, {1, 1, rows, w.n_padded()});
        return v ? ops::linear_with(g, x, w, options, *v) : ops::linear(g, x, w, options);
    };
    const auto problem = [c, rows](const Graph& g) {
        return ops::GemmProblem{rows, (c.n + 3) / 4 * 4, (c.k + 3) / 4 * 4, g.activation()};
    };
    return gemm_case("linear", std::move(set), fmt::format("{} {}x{}x{}", c.name, rows, c.n, c.k), run, problem);
}

Case conv_case(const test::ConvCase& c, std::string set, std::uint32_t h, std::uint32_t w) {
    const auto out = [c](std::uint32_t size, std::uint32_t pads) { return (size + pads - c.kernel) / c.stride + 1; };
    const Shape y{c.n, out(h, c.pad_top + c.pad_bottom), out(w, c.pad_left + c.pad_right), (c.out + 3) / 4 * 4};
    const auto run = [=](Graph& g, Inputs& in, const GemmVariant* v) {
        const Weight weight = in.weight(c.out, c.c, c.kernel), bias = in.vector(c.out);
        const TensorId x = in.activation(g, {c.n, h, w, weight.k_padded()});
        ops::Conv2dOptions o{.bias = &bias,
                             .stride = c.stride,
                             .pad_top = c.pad_top,
                             .pad_left = c.pad_left,
                             .pad_bottom = c.pad_bottom,
                             .pad_right = c.pad_right,
                             .activation = c.activation};
        if (c.channel_add) o.channel_add = in.f32(g, {y.n, 1, 1, y.c});
        if (c.residual) o.residual = in.activation(g, y);
        return v ? ops::conv2d_with(g, x, weight, o, *v) : ops::conv2d(g, x, weight, o);
    };
    const auto problem = [=](const Graph& g) {
        return ops::GemmProblem{y.rows(), y.c, (c.c + 3) / 4 * 4, g.activation()};
    };
    return gemm_case("conv2d", std::move(set), fmt::format("{} {}x{}x{}x{} to {}", c.name, c.n, h, w, c.c, c.out), run,
                     problem);
}

void products(List& list) {
    for (const test::LinearCase& c : test::linear_cases) {
        if (const std::string set = set_of(c.name); set != "unet") {
            list.add(linear_case(c, set, c.rows));
            continue;
        }
        list.add(linear_case(c, "unet 512", c.rows));
        // Rows are pixels, but for those of the prompt and of the time step.
        const bool pixels = c.rows >= 128 && c.rows % 64 == 0;
        if (pixels) list.add(linear_case(c, "unet 256", c.rows / 4));
    }
    for (const test::ConvCase& c : test::conv_cases) {
        if (const std::string set = set_of(c.name); set != "unet") {
            list.add(conv_case(c, set, c.h, c.w));
            continue;
        }
        list.add(conv_case(c, "unet 512", c.h, c.w));
        list.add(conv_case(c, "unet 256", c.h / 2, c.w / 2));
    }
    // The decoder's large ones, where most of its time goes.
    for (const auto& c : {test::ConvCase{"vae decoder.mid.block_1.conv1", 1, 64, 64, 0, 0, 512, 512},
                          {"vae decoder.up.2.block.0.conv1", 1, 128, 128, 0, 0, 512, 512},
                          {"vae decoder.up.1.block.1.conv1", 1, 256, 256, 0, 0, 256, 256},
                          {"vae decoder.up.0.block.1.conv1", 1, 512, 512, 0, 0, 128, 128}})
        list.add(conv_case(c, "vae 512", c.h, c.w));
    for (const test::MatmulCase& c : test::matmul_cases)
        list.add({"matmul",
                  std::string_view(c.name).starts_with("ragged") ? "ragged" : "unet 512",
                  fmt::format("{} {}x{}x{}x{}", c.name, c.n, c.m, c.columns, c.k),
                  true,
                  [c](Graph& g, Inputs& in) {
                      const TensorId a = in.activation(g, {c.n, 1, c.m, c.k});
                      const TensorId b = in.activation(
                          g, c.transpose_b ? Shape{c.n, 1, c.columns, c.k} : Shape{c.n, 1, c.k, c.columns});
                      return ops::matmul(g, a, b, {c.transpose_b, c.scale});
                  },
                  {},
                  false});
}

void attention(List& list, std::string set, const char* name, std::uint32_t n, std::uint32_t queries,
               std::uint32_t keys, std::uint32_t heads, std::uint32_t head, bool causal = false) {
    const auto run = [=](Graph& g, Inputs& in, const AttentionVariant* v) {
        const Shape q{n, 1, queries, heads * head}, k{n, 1, keys, heads * head};
        const TensorId a = in.activation(g, q), b = in.activation(g, k), c = in.activation(g, k);
        const ops::AttentionOptions options{heads, causal, 0};
        return v ? ops::attention_with(g, a, b, c, options, *v) : ops::attention(g, a, b, c, options);
    };
    Case c{"attention",
           std::move(set),
           fmt::format("{} {}x{}x{}, {} heads of {}", name, n, queries, keys, heads, head),
           true,
           [run](Graph& g, Inputs& in) { return run(g, in, nullptr); },
           {},
           false};
    c.variants = [=](Graph& g) {
        std::vector<Variant> variants;
        for (const AttentionVariant& v : ops::attention_variants(g.caps(), head, g.activation()))
            variants.push_back({describe(v), [run, v](Graph& to, Inputs& in) { return run(to, in, &v); }});
        return variants;
    };
    list.add(std::move(c));
}

void attentions(List& list) {
    for (const std::uint32_t size : {512u, 256u}) {
        const std::string set = fmt::format("unet {}", size);
        std::uint32_t side = size / 8;
        for (const std::uint32_t head : {40u, 80u, 160u}) {
            attention(list, set, "attn1", 2, side * side, side * side, 8, head);
            attention(list, set, "attn2", 2, side * side, 77, 8, head);
            side /= 2;
        }
        attention(list, set, "attn1 middle", 2, side * side, side * side, 8, 160);
    }
    attention(list, "vae 512", "mid.attn_1", 1, 4096, 4096, 1, 512);
    attention(list, "text", "self_attn, causal", 1, 77, 77, 12, 64, true);
    attention(list, "ragged", "", 1, 333, 77, 2, 68);
    attention(list, "ragged", "short heads", 3, 1023, 513, 5, 4);
}

/// The activations of a UNet for pictures of `size`, both halves of a guided batch: the levels' ends.
std::array<Shape, 4> unet_shapes(std::uint32_t size) {
    const std::uint32_t side = size / 8;
    return {Shape{2, side, side, 320},
            {2, side / 2, side / 2, 640},
            {2, side / 4, side / 4, 1280},
            {2, side / 8, side / 8, 1280}};
}

void norm(List& list, const std::string& set, const Shape& s, bool silu) {
    list.move("group_norm", set, text(s) + (silu ? ", SiLU" : ""), [=](Graph& g, Inputs& in) {
        const Weight gamma = in.vector(s.c), beta = in.vector(s.c);
        return ops::group_norm(g, in.activation(g, s), gamma, beta, {32, 1e-5f, silu});
    });
}

void norm_statistics(List& list, const std::string& set, const Shape& s) {
    list.move("group_norm_statistics", set, text(s),
              [=](Graph& g, Inputs& in) { return ops::group_norm_statistics(g, in.activation(g, s)); });
}

void layer_norm(List& list, const std::string& set, const Shape& s) {
    list.move("layer_norm", set, text(s), [=](Graph& g, Inputs& in) {
        const Weight gamma = in.vector(s.c), beta = in.vector(s.c);
        return ops::layer_norm(g, in.activation(g, s), gamma, beta);
    });
}

void norms(List& list) {
    for (const std::uint32_t size : {512u, 256u}) {
        const std::string set = fmt::format("unet {}", size);
        for (const Shape& s : unet_shapes(size)) norm(list, set, s, true);
        const Shape first = unet_shapes(size)[0];
        norm(list, set, {2, first.h, first.w, 960}, true);
        norm(list, set, first, false);
        for (const Shape& s : unet_shapes(size)) layer_norm(list, set, {s.n, 1, s.h * s.w, s.c});
    }
    norm(list, "vae 512", {1, 64, 64, 512}, true);
    norm(list, "vae 512", {1, 256, 256, 256}, true);
    norm(list, "vae 512", {1, 512, 512, 128}, true);
    norm(list, "ragged", {3, 37, 29, 96}, true);
    norm_statistics(list, "vae 512", {1, 256, 256, 256});
    norm_statistics(list, "ragged", {3, 37, 29, 96});
    layer_norm(list, "text", {1, 1, 77, 768});
    layer_norm(list, "ragged", {1, 1, 131, 44});
    for (const auto& [set, s] : {std::pair<const char*, Shape>{"unet 512", {1, 8, 1024, 1024}},
                                 {"text", {12, 1, 77, 80}},
                                 {"ragged", {1, 1, 131, 44}}})
        list.move("softmax", set, text(s),
                  [s = s](Graph& g, Inputs& in) { return ops::softmax(g, in.activation(g, s)); });
}

void layout(List& list) {
    for (const std::uint32_t size : {512u, 256u}) {
        const std::string set = fmt::format("unet {}", size);
        const std::uint32_t side = size / 8;
        const Shape latent{1, side, side, 4}, both{2, side, side, 4}, coarse{2, side / 2, side / 2, 640};
        const Shape first{2, side, side, 320};
        list.move("upsample_nearest", set, text(coarse),
                  [=](Graph& g, Inputs& in) { return ops::upsample_nearest(g, in.activation(g, coarse), side, side); });
        list.move("concat", set, text(first) + " twice", [=](Graph& g, Inputs& in) {
            return ops::concat(g, in.activation(g, first), in.activation(g, first));
        });
        const Shape half{latent.n, latent.h / 2, latent.w / 2, latent.c};
        list.move("cut_tile", set, text(latent), [=](Graph& g, Inputs& in) {
            const TensorId tile = g.transient(half, DType::f32);
            ops::cut_tile(g, in.f32(g, latent), {half.h, half.w}, tile);
            return tile;
        });
        list.move("lay_tile", set, text(latent), [=](Graph& g, Inputs& in) {
            const std::array once{ops::Term{in.f32(g, latent), 1}};
            const TensorId sum = ops::linear_combination(g, once);  // it is added to
            ops::lay_tile(g, sum, in.f32(g, half), {half.h, half.w}, in.f32(g, {1, 1, 1, half.h + half.w}), 0, half.h);
            return sum;
        });
        list.move("wrap", set, text(first) + " by 1",
                  [=](Graph& g, Inputs& in) { return ops::wrap(g, in.activation(g, first), 1, 1); });
        list.move("add", set, text(first),
                  [=](Graph& g, Inputs& in) { return ops::add(g, in.activation(g, first), in.activation(g, first)); });
        list.move("add_by", set, text(first), [=](Graph& g, Inputs& in) {
            return ops::add_by(g, in.activation(g, first), in.activation(g, first), in.f32(g, {1, 1, 1, 4}), 0);
        });
        list.move("affine", set, text(latent), [=](Graph& g, Inputs& in) {
            return ops::affine(g, in.f32(g, latent), in.f32(g, ops::affine_params_shape(latent)));
        });
        list.move("cast", set, text(first),
                  [=](Graph& g, Inputs& in) { return ops::cast(g, in.f32(g, first), g.activation()); });
        list.move("scale_by", set, text(latent) + " twice", [=](Graph& g, Inputs& in) {
            const TensorId x = in.f32(g, latent), parameters = in.f32(g, {1, 1, 1, 4});
            return ops::scale_by(g, x, parameters, 0, g.activation(), 2);
        });
        list.move("guide", set, text(latent), [=](Graph& g, Inputs& in) {
            const TensorId x = in.f32(g, latent), output = in.f32(g, both), parameters = in.f32(g, {1, 1, 1, 4});
            return ops::guide(g, x, output, parameters, 1);
        });
        list.move("guide_half", set, text(latent), [=](Graph& g, Inputs& in) {
            const TensorId x = in.f32(g, latent), output = in.f32(g, both), parameters = in.f32(g, {1, 1, 1, 4});
            return ops::guide_half(g, x, output, 1, parameters, 1);
        });
        list.move("blend", set, text(latent), [=](Graph& g, Inputs& in) {
            return ops::blend(g, in.f32(g, latent), in.f32(g, latent), in.f32(g, latent));
        });
        list.move("linear_combination", set, text(latent) + ", 3 terms", [=](Graph& g, Inputs& in) {
            const std::array terms{ops::Term{in.f32(g, latent), 0.5f}, ops::Term{in.f32(g, latent), 0.25f},
                                   ops::Term{in.f32(g, latent), -1.0f}};
            return ops::linear_combination(g, terms);
        });
        list.move("linear_combination_by", set, text(latent) + ", 3 terms", [=](Graph& g, Inputs& in) {
            const std::array terms{in.f32(g, latent), in.f32(g, latent), in.f32(g, latent)};
            return ops::linear_combination_by(g, terms, in.f32(g, {1, 1, 1, 4}), 0);
        });
        list.move("nchw_to_nhwc", set, text(latent),
                  [=](Graph& g, Inputs& in) { return ops::nchw_to_nhwc(g, in.f32(g, latent), latent); });
        list.move("nhwc_to_nchw", set, text(latent),
                  [=](Graph& g, Inputs& in) { return ops::nhwc_to_nchw(g, in.f32(g, latent)); });
        list.move("check_finite", set, text(both), [=](Graph& g, Inputs& in) {
            const TensorId x = in.f32(g, both), flag = in.zeros(g, {1, 1, 1, 1}, DType::i32);
            ops::check_finite(g, x, flag);
            return flag;
        });
        list.move("norms", set, text(latent), [=](Graph& g, Inputs& in) {
            const TensorId x = in.f32(g, latent), sums = in.zeros(g, ops::norms_shape(latent), DType::f32);
            ops::norms(g, x, sums);
            return sums;
        });
        list.add({"random_normal",
                  set,
                  text(latent),
                  false,
                  [=](Graph& g, Inputs&) { return ops::random_normal(g, latent, std::array{std::uint64_t(7)}, 0); },
                  {},
                  true});
    }
    list.move("slice_channels", "text", "77x3072 to 1024", [](Graph& g, Inputs& in) {
        return ops::slice_channels(g, in.activation(g, {1, 1, 77, 3072}), 1024, 1024);
    });
    list.move("upsample_nearest", "vae 512", "1x256x256x256", [](Graph& g, Inputs& in) {
        return ops::upsample_nearest(g, in.activation(g, {1, 256, 256, 256}), 512, 512);
    });
    list.move("activation", "unet 512", "2x1x1x1280, SiLU", [](Graph& g, Inputs& in) {
        return ops::activation(g, in.activation(g, {2, 1, 1, 1280}), ops::Activation::silu);
    });
    list.move("activation", "ragged", "3x37x29x96, GELU", [](Graph& g, Inputs& in) {
        return ops::activation(g, in.activation(g, {3, 37, 29, 96}), ops::Activation::gelu);
    });
    list.move("concat", "ragged", "3x37x29x96 and 20", [](Graph& g, Inputs& in) {
        return ops::concat(g, in.activation(g, {3, 37, 29, 96}), in.activation(g, {3, 37, 29, 20}));
    });
}

/// Of the networks that upscale: a picture of 128x128 to four times that.
void upscaling(List& list) {
    const Shape picture{1, 128, 128, 4}, features{1, 128, 128, 64};
    list.move("prelu", "upscale 128", text(features), [=](Graph& g, Inputs& in) {
        const Weight slopes = in.vector(features.c);
        return ops::prelu(g, in.activation(g, features), slopes);
    });
    list.move("pixel_shuffle", "upscale 128", "1x128x128x48 to 512", [](Graph& g, Inputs& in) {
        return ops::pixel_shuffle(g, in.activation(g, {1, 128, 128, 48}), 4, 3);
    });
    list.move("pixel_unshuffle", "upscale 128", text(picture) + " to 64",
              [=](Graph& g, Inputs& in) { return ops::pixel_unshuffle(g, in.activation(g, picture), 2, 3); });
    list.move("resample", "upscale 128", text(picture) + " to 512, Lanczos", [=](Graph& g, Inputs& in) {
        return ops::resample(g, in.activation(g, picture), 512, 512, ops::Resampling::lanczos);
    });
}

void ends(List& list) {
    list.move("timestep_embedding", "unet 512", "2x320", [](Graph& g, Inputs& in) {
        return ops::timestep_embedding(g, in.f32(g, {1, 1, 1, 2}), 2, 320);
    });
    list.move("embedding", "text", "77 of 49408x768", [](Graph& g, Inputs& in) {
        const TensorId tokens = in.integers(g, {1, 1, 77, 1}, 49408);
        const Weight table = in.table(49408, 768, 77), positions = in.table(77, 768, 77);
        return ops::embedding(g, tokens, table, positions);
    });
    list.move("to_image", "vae 512", "1x512x512x4", [](Graph& g, Inputs& in) {
        return ops::to_image(g, in.f32(g, {1, 512, 512, 4}));
    });
    list.move("from_image", "vae 512", "1x512x512x4", [](Graph& g, Inputs& in) {
        return ops::from_image(g, in.bytes(g, {1, 512, 512, 4}));
    });
    list.move("dequantize", "unet 512", "q8_0 1280 to 1280",
              [](Graph& g, Inputs& in) { return ops::dequantize(g, in.blocks(1280, 1280)); });
    list.move("merge", "unet 512", "rank 16 of 1280 to 1280", [](Graph& g, Inputs& in) {
        const TensorId w = in.f32(g, {1, 1, 1280, 1280}), factors = in.f32(g, {1, 1, 1, 2 * 16 * 1280});
        // In place: with a factor that changes nothing, so that every run has the same before it.
        ops::merge(g, w, factors, {.rows = 1280, .b = 16 * 1280, .rank = 16, .factor = 0});
        return w;
    });
    list.move("repack", "unet 512", "f16 3x3 640 to 640", [](Graph& g, Inputs& in) {
        const Weight like = in.weight(640, 640, 3);
        const TensorId source = in.f16(g, {1, 1, 1, 640 * 640 * 9});
        ops::repack(g, source, DType::f16, like, 0, 640);
        return like.in(g);
    });
}

}  // namespace

std::vector<Case> all_cases() {
    List list;
    products(list);
    attentions(list);
    norms(list);
    layout(list);
    upscaling(list);
    ends(list);
    return std::move(list.cases);
}

}  // namespace pumice::bench
