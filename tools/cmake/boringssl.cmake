# boringssl::crypto, from Debian's android-libboringssl-dev or from a built upstream tree. What a
# particular BoringSSL offers and needs is found by compiling, never by its version; and it is found
# anew each time, so that another BORINGSSL_ROOT is not judged by what the last one could do.
include(CheckCSourceCompiles)

if(BORINGSSL_ROOT)
  set(boringssl_include_dirs ${BORINGSSL_ROOT}/include)
  set(boringssl_lib_dirs ${BORINGSSL_ROOT}/build ${BORINGSSL_ROOT}/lib ${BORINGSSL_ROOT}/build/crypto
                         ${BORINGSSL_ROOT}/build/ssl)
else()
  set(boringssl_include_dirs /usr/include/android)
  set(boringssl_lib_dirs /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/android)
endif()
foreach(variable BORINGSSL_INCLUDE BORINGSSL_CRYPTO BORINGSSL_SSL)
  unset(${variable} CACHE)
endforeach()
find_path(BORINGSSL_INCLUDE openssl/is_boringssl.h PATHS ${boringssl_include_dirs} NO_CACHE
          NO_DEFAULT_PATH)
find_library(BORINGSSL_CRYPTO NAMES crypto PATHS ${boringssl_lib_dirs} NO_CACHE NO_DEFAULT_PATH)
find_library(BORINGSSL_SSL NAMES ssl PATHS ${boringssl_lib_dirs} NO_CACHE NO_DEFAULT_PATH)
if(NOT BORINGSSL_INCLUDE OR NOT BORINGSSL_CRYPTO OR NOT BORINGSSL_SSL)
  message(FATAL_ERROR "No BoringSSL: no openssl/is_boringssl.h in ${boringssl_include_dirs}, or no "
                      "libcrypto and libssl in ${boringssl_lib_dirs}. apt install android-libboringssl-dev, or "
                      "give -DBORINGSSL_ROOT= a tree that is built in its build/")
endif()

# A static library may want threads, and a C++ runtime: upstream is C++ inside since 2024. The
# program reaches for what tern uses most: packets, keys, signatures, certificates, TLS.
set(boringssl_program "
#include <openssl/base.h>
#ifndef OPENSSL_IS_BORINGSSL
#error not BoringSSL
#endif
#include <openssl/aead.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
int main(int argc, char **argv)
{
    (void)argv;
    return EVP_aead_aes_256_gcm() == 0 || EVP_PKEY_CTX_new(0, 0) != 0 ||
           SSL_CTX_new(TLS_with_buffers_method()) == 0 || (argc > 1 && X509_verify_cert(0) != 0);
}")
find_package(Threads REQUIRED)
set(CMAKE_REQUIRED_INCLUDES ${BORINGSSL_INCLUDE})
set(CMAKE_REQUIRED_QUIET ON)
foreach(runtime "" stdc++ c++)
  set(boringssl_libraries ${BORINGSSL_SSL} ${BORINGSSL_CRYPTO} ${runtime} Threads::Threads)
  set(CMAKE_REQUIRED_LIBRARIES ${boringssl_libraries})
  unset(TERN_BORINGSSL_WORKS CACHE)
  check_c_source_compiles("${boringssl_program}" TERN_BORINGSSL_WORKS)
  if(TERN_BORINGSSL_WORKS)
    break()
  endif()
endforeach()
unset(CMAKE_REQUIRED_INCLUDES)
unset(CMAKE_REQUIRED_LIBRARIES)
unset(CMAKE_REQUIRED_QUIET)
if(NOT TERN_BORINGSSL_WORKS)
  message(FATAL_ERROR "No working BoringSSL at ${BORINGSSL_CRYPTO}: "
                      "apt install android-libboringssl-dev, or give another -DBORINGSSL_ROOT=")
endif()
message(STATUS "BoringSSL: ${boringssl_libraries}")

add_library(boringssl_crypto INTERFACE)
add_library(boringssl::crypto ALIAS boringssl_crypto)
target_include_directories(boringssl_crypto SYSTEM INTERFACE ${BORINGSSL_INCLUDE})
target_link_libraries(boringssl_crypto INTERFACE ${boringssl_libraries})
if(NOT BORINGSSL_CRYPTO MATCHES "\\.a$")
  get_filename_component(boringssl_dir ${BORINGSSL_CRYPTO} DIRECTORY)
  set(CMAKE_INSTALL_RPATH ${boringssl_dir})
  set(CMAKE_BUILD_RPATH ${boringssl_dir})
endif()
