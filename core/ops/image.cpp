// to_image and from_image.
#include "ops/common.hpp"
#include "ops/ops.hpp"

namespace pumice::ops {
namespace {

struct ImagePush {
    std::uint32_t x_base, y_base, quads;
    float scale, offset;
};

TensorId convert(Graph& g, const char* op, const std::string& module, TensorId x, DType to, float scale, float offset) {
    const TensorId y = g.transient(g.shape(x), to);
    const std::uint64_t pixels = g.shape(x).rows();
    Node node{label(g, op), {}};
    for_pieces(pixels, quads_per_dispatch(g, pixels, 8), [&](std::uint64_t first, std::uint64_t count) {
        RowBindings b(g);
        ImagePush push{0, 0, static_cast<std::uint32_t>(count), scale, offset};
        push.x_base = b.rows(x, first, count, 4, Access::read);
        push.y_base = b.rows(y, first, count, 4, Access::write);
        node.dispatches.push_back(make_dispatch(module, {}, std::move(b), push,
                                                spread(g, divide_up(count, kQuadWorkgroup)), 8.0 * double(count)));
    });
    g.add(std::move(node));
    return y;
}

}  // namespace

TensorId to_image(Graph& g, TensorId x, float scale, float offset) {
    if (!check_activations(g, "to_image", {x})) return {};
    if (g.shape(x).c != 4) return fail(g, "to_image", describe(g, x) + " has not 4 channels");
    return convert(g, "to_image", module_name("to_image", {name_of(g.dtype(x))}), x, DType::u8, scale, offset);
}

TensorId from_image(Graph& g, TensorId image, float scale, float offset) {
    if (!image || g.dtype(image) != DType::u8 || g.shape(image).c != 4)
        return fail(g, "from_image", image ? describe(g, image) + " is no picture" : "an input is missing");
    return convert(g, "from_image", module_name("from_image", {name_of(g.activation())}), image, g.activation(), scale,
                   offset);
}

}  // namespace pumice::ops
