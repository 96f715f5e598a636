// Brownian paths that a seed determines whatever the order and the times of the questions: the noise of DPM++ SDE and
// its kin, as k-diffusion draws it from torchsde's BrownianTree.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace pumice {

/// A path of `count` independent Brownian motions over [lowest, highest]. The interval is halved, and each half's
/// increment drawn from a Brownian bridge, until halves are as fine as what is asked for (Li et al., "Scalable Gradients
/// for Stochastic Differential Equations", 2020, arXiv 2001.01328, section 4); times are rounded to 1e-6. A node's
/// generator is seeded by numpy's SeedSequence from `seed` and the node's place in the tree.
///
/// Keeps every increment it has made: about 4 bytes a motion and node, some twenty nodes a question.
class BrownianTree {
public:
    BrownianTree(std::uint64_t seed, std::size_t count, double lowest, double highest);
    BrownianTree(BrownianTree&&) noexcept;
    BrownianTree& operator=(BrownianTree&&) noexcept;
    ~BrownianTree();

    bool covers(double lowest, double highest) const { return lowest == lowest_ && highest == highest_; }

    /// (W(to) - W(from)) / sqrt(|to - from|): standard normal numbers. Times outside count as the nearer end; no way
    /// gives zeros.
    void increment(double from, double to, std::span<float> out);

private:
    struct Node;
    void collect(Node& node, double from, double to, std::vector<Node*>& found);
    void split(Node& node, double at);
    void halve(Node& node);
    const std::vector<float>& value(Node& node);

    std::uint64_t seed_;
    std::size_t count_;
    double lowest_, highest_;
    std::unique_ptr<Node> root_;
};

}  // namespace pumice
