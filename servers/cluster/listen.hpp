// The setting `listen` as addresses: what to bind to, what to tell others, and which network device
// that is for UCX.
#pragma once
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace benchfs {

struct ListenAddress {
  std::string bind_host;   ///< numeric
  std::uint16_t port = 0;  ///< 0: any free one
  std::string host;        ///< numeric address at which others reach this server
  std::string
      net_device;  ///< for UCX: the interface that has the address ("lo", "ib0"); empty: any
};

struct InterfaceAddress {
  std::string interface;
  std::string address;
  bool v6 = false;
  bool loopback = false;
};
/// Addresses of the interfaces that are up, IPv4 first; without link-local ones.
std::vector<InterfaceAddress> interface_addresses();

/// Of "ADDRESS[:PORT]", "NAME[:PORT]", "INTERFACE[:PORT]", or "any[:PORT]" (also 0.0.0.0): all of
/// them. The error lists what there is.
std::expected<ListenAddress, std::string> resolve_listen(std::string_view listen);
/// The same, of given interfaces.
std::expected<ListenAddress, std::string> resolve_listen(
    std::string_view listen, const std::vector<InterfaceAddress>& interfaces);

}  // namespace benchfs
