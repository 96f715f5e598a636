#include "networks.hpp"

#include <algorithm>
#include <cstdlib>

namespace pumice::upscalers {
namespace {

constexpr float kSlope = 0.2f;     // of RRDBNet's leaky ReLUs
constexpr float kResidual = 0.2f;  // its residual scaling

/// What stands before `tail` in the one name that ends with it; false if there is none.
bool prefix_of(const sdk::WeightFile& file, const std::string& tail, std::string& prefix) {
    for (std::uint32_t i = 0; i < file.count(); ++i) {
        const std::string name = file.name(i);
        if (name.size() < tail.size() || name.compare(name.size() - tail.size(), tail.size(), tail) != 0) continue;
        prefix = name.substr(0, name.size() - tail.size());
        // "body." is no prefix of "nobody.": a part of a name is whole.
        if (prefix.empty() || prefix.back() == '.') return true;
    }
    return false;
}

bool is_conv3(const sdk::WeightFile& file, const std::string& name) {
    const auto shape = file.shape(name + ".weight");
    return shape.size() == 4 && shape[2] == 3 && shape[3] == 3;
}

/// The first models number the parts of one list: after model.1, the trunk, come the convolutions in order.
std::vector<std::string> numbered_convs(const sdk::WeightFile& file, const std::string& prefix) {
    std::vector<std::string> found;
    for (int i = 2; i < 64; ++i)
        if (const std::string name = prefix + "model." + std::to_string(i); is_conv3(file, name)) found.push_back(name);
    return found;
}

bool read_names(const sdk::WeightFile& file, Rrdb& net) {
    std::string p;
    if (prefix_of(file, "body.0.rdb1.conv1.weight", p)) {
        net.first = p + "conv_first", net.trunk = p + "body.", net.body = p + "conv_body";
        net.up = {p + "conv_up1", p + "conv_up2"};
        net.high = p + "conv_hr", net.last = p + "conv_last", net.rdb = ".rdb";
        return true;
    }
    if (prefix_of(file, "RRDB_trunk.0.RDB1.conv1.weight", p)) {
        net.first = p + "conv_first", net.trunk = p + "RRDB_trunk.", net.body = p + "trunk_conv";
        for (int i = 1; is_conv3(file, p + "upconv" + std::to_string(i)); ++i)
            net.up.push_back(p + "upconv" + std::to_string(i));
        net.high = p + "HRconv", net.last = p + "conv_last", net.rdb = ".RDB";
        return true;
    }
    if (!prefix_of(file, "model.1.sub.0.RDB1.conv1.0.weight", p)) return false;
    net.first = p + "model.0", net.trunk = p + "model.1.sub.", net.rdb = ".RDB", net.conv_suffix = ".0";
    net.up = numbered_convs(file, p);
    if (net.up.size() < 2) return false;
    net.last = net.up.back();
    net.up.pop_back();
    net.high = net.up.back();
    net.up.pop_back();
    return true;
}

}  // namespace

bool Rrdb::read(const sdk::WeightFile& file, Rrdb& net, std::string& why) {
    if (!read_names(file, net)) return false;
    while (file.has(net.trunk + std::to_string(net.blocks) + net.rdb + "1.conv1" + net.conv_suffix + ".weight"))
        ++net.blocks;
    if (net.body.empty()) net.body = net.trunk + std::to_string(net.blocks);
    const auto first = file.shape(net.first + ".weight"), last = file.shape(net.last + ".weight");
    for (const std::uint32_t r : {1u, 2u, 4u})
        if (first.size() == 4 && first[1] == 3 * r * r) net.unshuffle = r;
    if (first.size() != 4 || first[1] != 3 * net.unshuffle * net.unshuffle || last.size() != 4 || last[0] != 3) {
        why = "an RRDBNet, but not one from RGB to RGB";
        return false;
    }
    net.features = first[0];
    return true;
}

pumice_node Rrdb::append(sdk::Graph& g, const sdk::WeightFile& file, pumice_node x) const {
    g.scope("conv_first");
    if (unshuffle > 1) x = g.pixel_unshuffle(x, unshuffle, 3);
    const pumice_node low = g.conv3(file, first, x);
    pumice_node h = low;
    for (std::uint32_t block = 0; block < blocks; ++block) {
        const pumice_node before = h;
        for (int dense = 1; dense <= 3; ++dense) {
            const std::string name = trunk + std::to_string(block) + rdb + std::to_string(dense);
            g.scope(name);
            pumice_node all = h;
            for (int i = 1; i <= 4; ++i)
                all = g.concat(all, g.conv3(file, name + ".conv" + std::to_string(i) + conv_suffix, all, kSlope));
            h = g.combine({{g.conv3(file, name + ".conv5" + conv_suffix, all), kResidual}, {h, 1}});
        }
        h = g.combine({{h, kResidual}, {before, 1}});
    }
    g.scope("upsampling");
    h = g.combine({{low, 1}, {g.conv3(file, body, h), 1}});
    for (const std::string& name : up) h = g.conv3(file, name, g.enlarge_nearest(h, 2), kSlope);
    return g.conv3(file, last, g.conv3(file, high, h, kSlope), 1, true);
}

bool Compact::read(const sdk::WeightFile& file, Compact& net, std::string& why) {
    if (!prefix_of(file, "body.0.weight", net.prefix)) return false;
    const auto name = [&](std::uint32_t i) { return net.prefix + "body." + std::to_string(i); };
    while (is_conv3(file, name(2 * net.layers))) ++net.layers;
    if (net.layers < 2) return false;
    const auto first = file.shape(name(0) + ".weight"), last = file.shape(name(2 * net.layers - 2) + ".weight");
    if (first.size() != 4 || last.size() != 4) return false;  // the host no longer says
    for (net.factor = 1; 3ull * net.factor * net.factor < last[0];) ++net.factor;
    if (first[1] != 3 || last[0] != 3ull * net.factor * net.factor || net.factor > 16) {
        why = "a compact network, but not one from RGB to RGB";
        return false;
    }
    net.features = first[0];
    for (std::uint32_t i = 0; i + 1 < net.layers; ++i)
        if (file.shape(name(2 * i + 1) + ".weight").size() != 1) {
            why = "a compact network without PReLUs";
            return false;
        }
    return true;
}

pumice_node Compact::append(sdk::Graph& g, const sdk::WeightFile& file, pumice_node x) const {
    const auto name = [&](std::uint32_t i) { return prefix + "body." + std::to_string(i); };
    pumice_node h = x;
    for (std::uint32_t i = 0; i + 1 < layers; ++i) {
        g.scope(name(2 * i));
        h = g.conv3(file, name(2 * i), h);
        h = g.prelu(h, file.load(name(2 * i + 1) + ".weight", PUMICE_WEIGHT_VECTOR));
    }
    g.scope(name(2 * layers - 2));
    h = g.pixel_shuffle(g.conv3(file, name(2 * layers - 2), h, 1, true), factor, 3);
    return g.combine({{h, 1}, {g.enlarge_nearest(x, factor), 1}});
}

}  // namespace pumice::upscalers
