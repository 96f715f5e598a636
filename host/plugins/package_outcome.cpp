#include "plugins/package_outcome.hpp"

namespace pumice::host {

std::string_view refusal_name(Refusal refusal) {
    switch (refusal) {
        case Refusal::none:
            return "none";
        case Refusal::no_signature:
            return "no signature";
        case Refusal::signature:
            return "signature";
        case Refusal::other_key:
            return "other key";
        case Refusal::downgrade:
            return "downgrade";
        case Refusal::platform:
            return "platform";
        case Refusal::sdk:
            return "sdk";
        case Refusal::hash:
            return "hash";
        case Refusal::missing:
            return "missing";
        case Refusal::unlisted:
            return "unlisted";
        case Refusal::duplicate:
            return "duplicate";
        case Refusal::traversal:
            return "traversal";
        case Refusal::absolute:
            return "absolute";
        case Refusal::name:
            return "name";
        case Refusal::link:
            return "link";
        case Refusal::encrypted:
            return "encrypted";
        case Refusal::compression:
            return "compression";
        case Refusal::too_large:
            return "too large";
        case Refusal::busy:
            return "busy";
        case Refusal::conformance:
            return "conformance";
    }
    return "unknown";
}

std::string printable(std::string_view text, std::size_t longest) {
    std::string clean(text.substr(0, longest));
    for (char& c : clean)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    return text.size() > longest ? clean + "…" : clean;
}

}  // namespace pumice::host
