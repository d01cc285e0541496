# boringssl::crypto, from Debian's android-libboringssl-dev or from a built upstream tree. What a
# particular BoringSSL offers is found by compiling, never by its version.
include(CheckCSourceCompiles)

if(BORINGSSL_ROOT)
  find_path(BORINGSSL_INCLUDE openssl/is_boringssl.h PATHS ${BORINGSSL_ROOT}/include
            NO_DEFAULT_PATH REQUIRED)
  find_library(BORINGSSL_CRYPTO NAMES crypto PATHS ${BORINGSSL_ROOT}/build ${BORINGSSL_ROOT}/lib
               ${BORINGSSL_ROOT}/build/crypto NO_DEFAULT_PATH REQUIRED)
else()
  find_path(BORINGSSL_INCLUDE openssl/is_boringssl.h PATHS /usr/include/android
            NO_DEFAULT_PATH REQUIRED)
  find_library(BORINGSSL_CRYPTO NAMES crypto
               PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android NO_DEFAULT_PATH REQUIRED)
endif()
get_filename_component(boringssl_dir ${BORINGSSL_CRYPTO} DIRECTORY)

add_library(boringssl_crypto INTERFACE)
add_library(boringssl::crypto ALIAS boringssl_crypto)
target_include_directories(boringssl_crypto SYSTEM INTERFACE ${BORINGSSL_INCLUDE})
target_link_libraries(boringssl_crypto INTERFACE ${BORINGSSL_CRYPTO})
if(BORINGSSL_CRYPTO MATCHES "\\.a$")
  # Upstream's library holds C++ since 2024.
  find_package(Threads REQUIRED)
  target_link_libraries(boringssl_crypto INTERFACE Threads::Threads stdc++)
else()
  set(CMAKE_INSTALL_RPATH ${boringssl_dir})
  set(CMAKE_BUILD_RPATH ${boringssl_dir})
endif()

set(CMAKE_REQUIRED_INCLUDES ${BORINGSSL_INCLUDE})
set(CMAKE_REQUIRED_LIBRARIES ${BORINGSSL_CRYPTO})
if(BORINGSSL_CRYPTO MATCHES "\\.a$")
  list(APPEND CMAKE_REQUIRED_LIBRARIES Threads::Threads stdc++)
endif()
check_c_source_compiles("
#include <openssl/base.h>
#ifndef OPENSSL_IS_BORINGSSL
#error not BoringSSL
#endif
#include <openssl/aead.h>
int main(void) { return EVP_aead_aes_256_gcm() == 0; }" TERN_BORINGSSL_WORKS)
if(NOT TERN_BORINGSSL_WORKS)
  message(FATAL_ERROR "No working BoringSSL at ${BORINGSSL_CRYPTO}: "
                      "apt install android-libboringssl-dev, or give -DBORINGSSL_ROOT=")
endif()
unset(CMAKE_REQUIRED_INCLUDES)
unset(CMAKE_REQUIRED_LIBRARIES)
