// Resolving `listen`. An interface name wins over a host name of the same spelling; a host name
// must resolve to an address of this host.
#include "cluster/listen.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/text.hpp"

namespace benchfs {
namespace {

std::string numeric(const sockaddr* address) {
  std::array<char, NI_MAXHOST> text{};
  const socklen_t bytes =
      address->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (getnameinfo(address, bytes, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0)
    return {};
  return text.data();
}

/// All addresses of a host name or numeric address, as text.
std::vector<std::string> resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::vector<std::string> addresses;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    addresses.push_back(numeric(at->ai_addr));
  }
  freeaddrinfo(found);
  return addresses;
}

std::string listing(const std::vector<InterfaceAddress>& interfaces) {
  std::string out;
  for (const auto& entry : interfaces) {
    out += fmt::format("{}{} ({})", out.empty() ? "" : ", ", entry.interface, entry.address);
  }
  return out.empty() ? "nothing" : out;
}

}  // namespace

std::vector<InterfaceAddress> interface_addresses() {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(first, &freeifaddrs);
  std::vector<InterfaceAddress> found;
  for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || (at->ifa_flags & IFF_UP) == 0) continue;
    const bool v6 = at->ifa_addr->sa_family == AF_INET6;
    if (!v6 && at->ifa_addr->sa_family != AF_INET) continue;
    if (v6 && IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<sockaddr_in6*>(at->ifa_addr)->sin6_addr))
      continue;
    found.push_back({.interface = at->ifa_name,
                     .address = numeric(at->ifa_addr),
                     .v6 = v6,
                     .loopback = (at->ifa_flags & IFF_LOOPBACK) != 0});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.v6 < b.v6; });
  return found;
}

std::expected<ListenAddress, std::string> resolve_listen(std::string_view listen) {
  return resolve_listen(listen, interface_addresses());
}

std::expected<ListenAddress, std::string> resolve_listen(
    std::string_view listen, const std::vector<InterfaceAddress>& interfaces) {
  const auto parsed = parse_host_port(listen, 0);
  if (!parsed)
    return std::unexpected(fmt::format("listen: \"{}\" is not ADDRESS[:PORT] or INTERFACE[:PORT]",
                                       escape_line(listen)));
  ListenAddress out{.bind_host = parsed->host, .port = parsed->port, .host = {}, .net_device = {}};

  if (parsed->host == "any" || parsed->host == "0.0.0.0" || parsed->host == "::") {
    out.bind_host = parsed->host == "::" ? "::" : "0.0.0.0";
    // Others are told of one address: the first that is not loopback.
    const auto outside = std::find_if(interfaces.begin(), interfaces.end(), [&](const auto& entry) {
      return !entry.loopback && (!entry.v6 || out.bind_host == "::");
    });
    out.host = outside != interfaces.end() ? outside->address : "127.0.0.1";
    return out;
  }
  for (const auto& entry : interfaces) {
    if (entry.interface != parsed->host) continue;
    out.bind_host = out.host = entry.address;
    out.net_device = entry.interface;
    return out;
  }
  for (const std::string& address : resolve(parsed->host)) {
    for (const auto& entry : interfaces) {
      // All of 127.0.0.0/8 is this host, whichever of it the interface shows.
      const bool loopback = entry.loopback && !entry.v6 && address.starts_with("127.");
      if (entry.address != address && !loopback) continue;
      out.bind_host = out.host = address;
      out.net_device = entry.interface;
      return out;
    }
  }
  return std::unexpected(
      fmt::format("listen: {} is neither an interface nor an address of this host,"
                  " which has {}",
                  parsed->host, listing(interfaces)));
}

}  // namespace benchfs
