import sys

sys.path.append("/content/drive/MyDrive/homework/code")
sys.path.insert(0, "/content/homework")
