module Main where

import Control.Concurrent
import Control.Concurrent.STM
import Control.Exception
import Control.Monad
import Data.Bits
import Data.IORef
import Data.List (foldl', sort)
import qualified Data.Map.Strict as Map
import System.Exit
import System.IO
import System.Mem
import System.Process
import Text.Printf

primes :: [Int]
primes = 2 : filter (\n -> all (\p -> n `mod` p /= 0) (takeWhile (\p -> p * p <= n) primes)) [3, 5 ..]

fibs :: [Integer]
fibs = 0 : 1 : zipWith (+) fibs (tail fibs)

mix :: Int -> Int
mix x = (x `xor` (x `shiftR` 7)) * 31 .&. 0xffffff

main :: IO ()
main = do
  hSetBuffering stdout LineBuffering
  putStrLn "hello from Haskell"
  print (primes !! 3000)
  print (fibs !! 1000 `mod` 10 ^ (30 :: Int))
  let counts = foldl' (\m i -> Map.insertWith (+) (mix i `mod` 97) i m) Map.empty [1 .. 100000]
  print (Map.size counts, Map.foldl' xor 0 counts)

  -- Threads of the run time on several of the system's, with transactional memory, MVars and a time-out's exception.
  n <- getNumCapabilities
  putStrLn ("capabilities " ++ show n)
  account <- newTVarIO (0 :: Int)
  done <- newEmptyMVar
  forM_ [1 .. 8] $ \i -> forkIO $ do
    forM_ [1 .. 1000] $ \j -> atomically (modifyTVar' account (+ (i * j `mod` 7)))
    putMVar done i
  finished <- replicateM 8 (takeMVar done)
  total <- readTVarIO account
  print (sort finished, total)
  blocked <- forkIO $ (threadDelay 100000000) `catch` \e -> putMVar done (length (show (e :: AsyncException)))
  threadDelay 10000
  killThread blocked
  takeMVar done >>= print
  r <- try (evaluate (1 `div` (total - total))) :: IO (Either ArithException Int)
  print r
  r2 <- try (evaluate (head (drop total []))) :: IO (Either SomeException Int)
  putStrLn (either (const "no head") show r2)
  stuck <- newEmptyMVar :: IO (MVar ())
  r3 <- try (takeMVar stuck) :: IO (Either BlockedIndefinitelyOnMVar ())
  print r3
  ref <- newIORef (0 :: Integer)
  forM_ [1 .. 20000] $ \i -> modifyIORef' ref (+ i * i)
  performGC
  readIORef ref >>= print
  printf "%.6f %s %d\n" (sum (map (1 /) [1 .. 10000]) :: Double) (show (2 ** 0.5 :: Double)) (product [1 .. 20] :: Int)
  (code, out, _) <- readProcessWithExitCode "sh" ["-c", "cat; exit 4"] "through a pipe"
  print (code, out)
  exitWith (ExitFailure 3)
